// T-5, the drain of a column of the output-stationary array: a register beside each PE; from the cycle after the last row's sum is there they move down, a
// row every DRAIN_CYCLES, and what leaves the last row goes to the accumulators.
module systole_drain #(
    parameter int ROWS = 4,
    parameter int DRAIN_CYCLES = 1,
    parameter int WORD_BITS = 32
) (
    input logic clk,
    input logic reset,
    // Sums that are done in this cycle, by row.
    input logic [ROWS-1:0] finished,
    input logic [ROWS*WORD_BITS-1:0] sums,
    // The target of the fold whose last row is done in this cycle.
    input logic [31:0] target_vector,
    input logic [ROWS-1:0] target_rows,
    input logic target_replaces,
    input logic target_last,
    output logic leaving_valid,
    output logic [31:0] leaving_vector,
    output logic leaving_replaces,
    output logic [WORD_BITS-1:0] leaving,
    // The row that leaves is the run's last.
    output logic ended
);
  localparam logic [15:0] LAST_ROW = 16'(ROWS - 1);
  logic [ROWS*WORD_BITS-1:0] registers;
  logic draining;
  // The row that leaves next, its PE's row; cycles until it does.
  logic [15:0] row;
  logic [31:0] waiting;
  logic [31:0] vector;
  logic [ROWS-1:0] rows;
  logic replaces;
  logic last;

  logic shifts;
  assign shifts = draining && waiting == 0;
  assign leaving_valid = shifts && rows[ROWS-1];
  assign leaving_vector = vector + 32'(row);
  assign leaving_replaces = replaces;
  assign leaving = registers[(ROWS-1)*WORD_BITS+:WORD_BITS];
  assign ended = shifts && row == 0 && last;

  always_ff @(posedge clk) begin
    if (reset) begin
      draining <= 1'b0;
      row <= '0;
      waiting <= '0;
      vector <= '0;
      rows <= '0;
      replaces <= 1'b0;
      last <= 1'b0;
    end else if (finished[ROWS-1]) begin
      draining <= 1'b1;
      row <= LAST_ROW;
      waiting <= '0;
      vector <= target_vector;
      rows <= target_rows;
      replaces <= target_replaces;
      last <= target_last;
    end else if (shifts) begin
      draining <= row != 0;
      row <= row - 1;
      waiting <= 32'(DRAIN_CYCLES - 1);
      rows <= rows << 1;
    end else if (draining) begin
      waiting <= waiting - 1;
    end
  end

  genvar r;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : register
      logic [WORD_BITS-1:0] above;
      if (r == 0) begin : top
        assign above = '0;
      end else begin : below
        assign above = registers[(r-1)*WORD_BITS+:WORD_BITS];
      end
      // Rows that have left are not moved any more: a sum of the next fold may be there. A new sum may take the place of one that moves on.
      always_ff @(posedge clk) begin
        if (reset) registers[r*WORD_BITS+:WORD_BITS] <= '0;
        else if (finished[r]) registers[r*WORD_BITS+:WORD_BITS] <= sums[r*WORD_BITS+:WORD_BITS];
        else if (shifts && 16'(r) + row > LAST_ROW) registers[r*WORD_BITS+:WORD_BITS] <= above;
      end
    end
  endgenerate
endmodule
