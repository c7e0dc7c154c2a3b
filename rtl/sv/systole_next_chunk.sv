// M-5: the chunk of a block behind this one: places innermost, then taps, then kernel rows.
module systole_next_chunk #(
    parameter int ROWS = 4,
    parameter int PRODUCTS = 1
) (
    input systole_types::run_t run,
    input systole_types::chunk_t chunk,
    output systole_types::chunk_t next,
    // There is none: `next` is the first of a block.
    output logic last,
    // Elements of a chunk, Q, and of a run.
    output logic [31:0] length,
    output logic [31:0] run_elements,
    // F.
    output logic [31:0] block_chunks
);
  localparam logic [31:0] OPERAND_CHUNK = 32'(ROWS * PRODUCTS);
  localparam logic [31:0] OUTPUT_CHUNK = 32'(PRODUCTS);
  logic sums_stay;
  logic [31:0] run_chunks;
  logic [31:0] place;
  logic last_of_run;
  logic last_of_row;
  assign sums_stay = run.dataflow == systole_types::OUTPUT_STATIONARY;
  assign length = sums_stay ? OUTPUT_CHUNK : OPERAND_CHUNK;
  assign run_elements = run.packed_taps ? 32'(run.kernel_w) * 32'(run.channels) : 32'(run.channels);
  assign run_chunks = sums_stay ? (run_elements + OUTPUT_CHUNK - 1) / OUTPUT_CHUNK
      : (run_elements + OPERAND_CHUNK - 1) / OPERAND_CHUNK;
  assign block_chunks = 32'(run.kernel_h) * (run.packed_taps ? 32'd1 : 32'(run.kernel_w)) * run_chunks;

  assign place = chunk.place + length;
  assign last_of_run = place >= run_elements;
  assign last_of_row = last_of_run && (run.packed_taps || chunk.tap + 12'd1 == run.kernel_w);
  assign last = last_of_row && chunk.kernel_row + 12'd1 == run.kernel_h;
  always_comb begin
    next.place = last_of_run ? '0 : place;
    next.tap = last_of_row ? '0 : last_of_run ? chunk.tap + 12'd1 : chunk.tap;
    next.kernel_row = last ? '0 : last_of_row ? chunk.kernel_row + 12'd1 : chunk.kernel_row;
    next.number = last ? '0 : chunk.number + 32'd1;
  end
endmodule
