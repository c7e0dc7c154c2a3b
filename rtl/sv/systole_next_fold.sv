// M-5: the fold behind this one: chunks innermost (where they are folds), then groups of pixels, then blocks.
module systole_next_fold #(
    parameter int ROWS = 4,
    parameter int COLUMNS = 4,
    parameter int PRODUCTS = 1
) (
    input systole_types::run_t run,
    input systole_types::fold_t fold,
    output systole_types::fold_t next,
    // There is none.
    output logic last,
    // F.
    output logic [31:0] block_chunks
);
  systole_types::chunk_t next_chunk;
  logic last_chunk;
  logic [31:0] length;
  logic [31:0] run_elements;
  systole_next_chunk #(
      .ROWS(ROWS),
      .PRODUCTS(PRODUCTS)
  ) chunks (
      .run(run),
      .chunk(fold.chunk),
      .next(next_chunk),
      .last(last_chunk),
      .length(length),
      .run_elements(run_elements),
      .block_chunks(block_chunks)
  );

  logic [16:0] by_columns_y, by_rows_y;
  logic [15:0] by_columns_x, by_rows_x;
  logic [COLUMNS*17-1:0] unused_columns_y;
  logic [COLUMNS*16-1:0] unused_columns_x;
  logic [ROWS*17-1:0] unused_rows_y;
  logic [ROWS*16-1:0] unused_rows_x;
  systole_pixels #(
      .COUNT(COLUMNS)
  ) by_columns (
      .y(fold.y),
      .x(fold.x),
      .width(run.width_out),
      .ys(unused_columns_y),
      .xs(unused_columns_x),
      .next_y(by_columns_y),
      .next_x(by_columns_x)
  );
  systole_pixels #(
      .COUNT(ROWS)
  ) by_rows (
      .y(fold.y),
      .x(fold.x),
      .width(run.width_out),
      .ys(unused_rows_y),
      .xs(unused_rows_x),
      .next_y(by_rows_y),
      .next_x(by_rows_x)
  );

  logic sums_stay, inputs_stay, chunk_ends, group_ends, last_group, block_ends;
  logic [16:0] group_y;
  logic [15:0] group_x;
  logic [31:0] group_sums, block_sums;
  assign sums_stay = run.dataflow == systole_types::OUTPUT_STATIONARY;
  assign inputs_stay = run.dataflow == systole_types::INPUT_STATIONARY;
  assign group_y = sums_stay ? by_rows_y : by_columns_y;
  assign group_x = sums_stay ? by_rows_x : by_columns_x;
  assign last_group = !(sums_stay || inputs_stay) || group_y >= 17'(run.height_out);
  assign group_ends = sums_stay || last_chunk;
  assign block_ends = group_ends && last_group;
  assign last = block_ends && fold.block + 12'd1 == run.blocks;
  assign chunk_ends = group_ends;
  assign group_sums = fold.sums + (sums_stay ? 32'(ROWS) : 32'(run.outputs));
  assign block_sums = inputs_stay ? group_sums : fold.block_sums + 32'(run.height_out) * 32'(run.width_out);
  always_comb begin
    next = fold;
    next.chunk = chunk_ends ? '0 : next_chunk;
    if (block_ends) begin
      next.block = fold.block + 12'd1;
      next.input_base = fold.input_base + 32'(run.block_step);
      next.y = '0;
      next.x = '0;
      next.tile_base = fold.tile_base + block_chunks;
      next.block_sums = block_sums;
      next.sums = block_sums;
    end else if (group_ends) begin
      next.y = group_y;
      next.x = group_x;
      next.sums = group_sums;
    end
  end
endmodule
