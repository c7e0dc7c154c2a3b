// T-5, the output-stationary array: PEs, the skews of operands (a cycle a row) and weights (a cycle a column), and the drain registers beside the PEs, which
// move down their column, a row every DRAIN_CYCLES.
module systole_output_grid #(
    parameter int ROWS = 4,
    parameter int COLUMNS = 4,
    parameter int PRODUCTS = 1,
    parameter int LATENCY = 1,
    parameter int DRAIN_CYCLES = 1,
    parameter int OPERAND_BITS = 17,
    parameter int WORD_BITS = 32,
    parameter bit SATURATES = 0
) (
    input logic clk,
    input logic reset,
    // A step enters: D operands for each row, D weights for each column.
    input logic step_valid,
    input logic step_first,
    input logic step_last,
    input logic [ROWS*PRODUCTS*OPERAND_BITS-1:0] operands,
    input logic [COLUMNS*PRODUCTS*OPERAND_BITS-1:0] weights,
    // Where the fold's sums go: accumulator vector of row 0, the rows that have a pixel, whether they replace, whether the run ends with them.
    input logic [31:0] target_vector,
    input logic [ROWS-1:0] target_rows,
    input logic target_replaces,
    input logic target_last,
    // Nothing is under way.
    output logic drained,
    // The edges.
    output logic [ROWS-1:0] edge_rows_valid,
    output logic [ROWS*PRODUCTS*OPERAND_BITS-1:0] edge_rows,
    output logic [COLUMNS-1:0] edge_columns_valid,
    output logic [COLUMNS*PRODUCTS*OPERAND_BITS-1:0] edge_columns,
    output logic [COLUMNS-1:0] leaving_valid,
    output logic [COLUMNS*32-1:0] leaving_vector,
    output logic [COLUMNS-1:0] leaving_replaces,
    output logic [COLUMNS*WORD_BITS-1:0] leaving,
    output logic ended
);
  localparam int ELEMENT = PRODUCTS * OPERAND_BITS;
  localparam int TARGET = 32 + ROWS + 2;

  logic [ROWS*COLUMNS*ELEMENT-1:0] passing_operands;
  logic [ROWS*COLUMNS*ELEMENT-1:0] passing_weights;
  logic [ROWS*COLUMNS*3-1:0] steps;
  logic [ROWS*3-1:0] edge_steps;
  logic [ROWS*COLUMNS-1:0] finished;
  logic [ROWS*COLUMNS*WORD_BITS-1:0] finished_sums;
  logic [COLUMNS-1:0] column_ended;

  genvar r, c;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : skew
      systole_delay #(
          .WIDTH(3 + ELEMENT),
          .DEPTH(r)
      ) line (
          .clk(clk),
          .reset(reset),
          .in({step_valid & step_last, step_valid & step_first, step_valid, operands[r*ELEMENT+:ELEMENT]}),
          .out({edge_steps[r*3+:3], edge_rows[r*ELEMENT+:ELEMENT]})
      );
      assign edge_rows_valid[r] = edge_steps[r*3];
    end

    for (c = 0; c < COLUMNS; c = c + 1) begin : column
      systole_delay #(
          .WIDTH(1 + ELEMENT),
          .DEPTH(c)
      ) skewed_weights (
          .clk(clk),
          .reset(reset),
          .in({step_valid, weights[c*ELEMENT+:ELEMENT]}),
          .out({edge_columns_valid[c], edge_columns[c*ELEMENT+:ELEMENT]})
      );

      for (r = 0; r < ROWS; r = r + 1) begin : pe
        localparam int AT = r * COLUMNS + c;
        logic [ELEMENT-1:0] from_left;
        logic [2:0] step_from_left;
        logic [ELEMENT-1:0] from_above;
        if (c == 0) begin : at_the_edge
          assign from_left = edge_rows[r*ELEMENT+:ELEMENT];
          assign step_from_left = edge_steps[r*3+:3];
        end else begin : further_in
          assign from_left = passing_operands[(AT-1)*ELEMENT+:ELEMENT];
          assign step_from_left = steps[(AT-1)*3+:3];
        end
        if (r == 0) begin : at_the_top
          assign from_above = edge_columns[c*ELEMENT+:ELEMENT];
        end else begin : below
          assign from_above = passing_weights[(AT-COLUMNS)*ELEMENT+:ELEMENT];
        end
        systole_output_pe #(
            .PRODUCTS(PRODUCTS),
            .LATENCY(LATENCY),
            .OPERAND_BITS(OPERAND_BITS),
            .WORD_BITS(WORD_BITS),
            .SATURATES(SATURATES)
        ) cell_ (
            .clk(clk),
            .reset(reset),
            .operands_in(from_left),
            .operands_out(passing_operands[AT*ELEMENT+:ELEMENT]),
            .weights_in(from_above),
            .weights_out(passing_weights[AT*ELEMENT+:ELEMENT]),
            .step_in(step_from_left),
            .step_out(steps[AT*3+:3]),
            .finished(finished[AT]),
            .finished_sum(finished_sums[AT*WORD_BITS+:WORD_BITS])
        );
      end

      // The target reaches the column when its last PE finishes.
      logic [TARGET-1:0] target;
      if (c == 0) begin : first_target
        systole_delay #(
            .WIDTH(TARGET),
            .DEPTH(ROWS + LATENCY - 2)
        ) line (
            .clk(clk),
            .reset(reset),
            .in({target_last, target_replaces, target_rows, target_vector}),
            .out(target)
        );
      end else begin : next_target
        systole_delay #(
            .WIDTH(TARGET),
            .DEPTH(1)
        ) line (
            .clk(clk),
            .reset(reset),
            .in(column[c-1].target),
            .out(target)
        );
      end

      logic [ROWS-1:0] column_finished;
      logic [ROWS*WORD_BITS-1:0] column_sums;
      for (r = 0; r < ROWS; r = r + 1) begin : gathered
        assign column_finished[r] = finished[r*COLUMNS+c];
        assign column_sums[r*WORD_BITS+:WORD_BITS] = finished_sums[(r*COLUMNS+c)*WORD_BITS+:WORD_BITS];
      end
      systole_drain #(
          .ROWS(ROWS),
          .DRAIN_CYCLES(DRAIN_CYCLES),
          .WORD_BITS(WORD_BITS)
      ) drain (
          .clk(clk),
          .reset(reset),
          .finished(column_finished),
          .sums(column_sums),
          .target_vector(target[31:0]),
          .target_rows(target[32+:ROWS]),
          .target_replaces(target[32+ROWS]),
          .target_last(target[33+ROWS]),
          .leaving_valid(leaving_valid[c]),
          .leaving_vector(leaving_vector[c*32+:32]),
          .leaving_replaces(leaving_replaces[c]),
          .leaving(leaving[c*WORD_BITS+:WORD_BITS]),
          .ended(column_ended[c])
      );
    end
  endgenerate

  assign ended = column_ended[COLUMNS-1];

  // Cycles until the sums of a fold have drained, if the youngest step was its last.
  localparam logic [31:0] TAIL = 32'(LATENCY + ROWS + COLUMNS - 2 + (ROWS - 1) * DRAIN_CYCLES);
  logic [31:0] tail;
  logic occupied;
  always_ff @(posedge clk) begin
    if (reset) begin
      tail <= '0;
      occupied <= 1'b0;
    end else if (step_valid) begin
      tail <= TAIL;
      occupied <= TAIL != '0;
    end else if (occupied) begin
      tail <= tail - 1;
      occupied <= tail != 32'd1;
    end
  end
  assign drained = ~occupied;
endmodule
