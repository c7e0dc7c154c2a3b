// T-5, the weight- and input-stationary array: PEs, the skew of the streamed rows (L cycles a row), of the operands that stay (a cycle a column), and the
// tags that tell each column where the sum goes that leaves it.
module systole_grid #(
    parameter int ROWS = 4,
    parameter int COLUMNS = 4,
    parameter int PRODUCTS = 1,
    parameter int LATENCY = 1,
    parameter bit SHADOWED = 1,
    parameter int OPERAND_BITS = 17,
    parameter int SUM_BITS = 40
) (
    input logic clk,
    input logic reset,
    // A vector enters: D operands for each row.
    input logic stream_valid,
    input logic [ROWS*PRODUCTS*OPERAND_BITS-1:0] stream,
    input logic stream_first,
    // Where its sums go, whether they replace what is there, whether it is the last of its run.
    input logic [31:0] stream_vector,
    input logic stream_replaces,
    input logic stream_last,
    // A row of the next tile: D operands for each column.
    input logic row_valid,
    input logic [15:0] row_index,
    input logic [COLUMNS*PRODUCTS*OPERAND_BITS-1:0] row,
    // No vector is under way.
    output logic drained,
    // The edges: what meets column 0 in each row, what reaches each column to stay, what leaves each column.
    output logic [ROWS-1:0] edge_rows_valid,
    output logic [ROWS*PRODUCTS*OPERAND_BITS-1:0] edge_rows,
    output logic [COLUMNS-1:0] edge_columns_valid,
    output logic [COLUMNS*16-1:0] edge_columns_row,
    output logic [COLUMNS*PRODUCTS*OPERAND_BITS-1:0] edge_columns,
    output logic [COLUMNS-1:0] leaving_valid,
    output logic [COLUMNS*32-1:0] leaving_vector,
    output logic [COLUMNS-1:0] leaving_replaces,
    output logic [COLUMNS*SUM_BITS-1:0] leaving,
    output logic ended
);
  localparam int ELEMENT = PRODUCTS * OPERAND_BITS;
  localparam int TAG = 35;

  // Outputs of the PEs, row by row.
  logic [ROWS*COLUMNS*ELEMENT-1:0] streamed;
  logic [ROWS*COLUMNS-1:0] first;
  logic [ROWS*COLUMNS*SUM_BITS-1:0] sums;
  logic [ROWS-1:0] edge_first;
  logic [COLUMNS-1:0] leaving_last;

  genvar r, c;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : skew
      systole_delay #(
          .WIDTH(2 + ELEMENT),
          .DEPTH(r * LATENCY)
      ) line (
          .clk(clk),
          .reset(reset),
          .in({stream_valid, stream_valid & stream_first, stream_valid ? stream[r*ELEMENT+:ELEMENT] : ELEMENT'(0)}),
          .out({edge_rows_valid[r], edge_first[r], edge_rows[r*ELEMENT+:ELEMENT]})
      );
    end

    for (c = 0; c < COLUMNS; c = c + 1) begin : column
      systole_delay #(
          .WIDTH(1 + 16 + ELEMENT),
          .DEPTH(c)
      ) stationary (
          .clk(clk),
          .reset(reset),
          .in({row_valid, row_index, row[c*ELEMENT+:ELEMENT]}),
          .out({edge_columns_valid[c], edge_columns_row[c*16+:16], edge_columns[c*ELEMENT+:ELEMENT]})
      );

      // A column later, a cycle later.
      logic [TAG-1:0] tag;
      if (c == 0) begin : first_tag
        systole_delay #(
            .WIDTH(TAG),
            .DEPTH(ROWS * LATENCY - 1)
        ) line (
            .clk(clk),
            .reset(reset),
            .in({stream_valid, stream_last, stream_replaces, stream_vector}),
            .out(tag)
        );
      end else begin : next_tag
        systole_delay #(
            .WIDTH(TAG),
            .DEPTH(1)
        ) line (
            .clk(clk),
            .reset(reset),
            .in(column[c-1].tag),
            .out(tag)
        );
      end
      assign leaving_valid[c] = tag[34];
      assign leaving_last[c] = tag[34] & tag[33];
      assign leaving_replaces[c] = tag[32];
      assign leaving_vector[c*32+:32] = tag[31:0];

      for (r = 0; r < ROWS; r = r + 1) begin : pe
        localparam int AT = r * COLUMNS + c;
        logic [ELEMENT-1:0] from_left;
        logic first_from_left;
        logic [SUM_BITS-1:0] from_above;
        logic [SUM_BITS-1:0] next;
        if (c == 0) begin : at_the_edge
          assign from_left = edge_rows[r*ELEMENT+:ELEMENT];
          assign first_from_left = edge_first[r];
        end else begin : further_in
          assign from_left = streamed[(AT-1)*ELEMENT+:ELEMENT];
          assign first_from_left = first[AT-1];
        end
        if (r == 0) begin : at_the_top
          assign from_above = '0;
        end else begin : below
          assign from_above = sums[(AT-COLUMNS)*SUM_BITS+:SUM_BITS];
        end
        if (r == ROWS - 1) begin : at_the_bottom
          assign leaving[c*SUM_BITS+:SUM_BITS] = next;
        end
        systole_pe #(
            .PRODUCTS(PRODUCTS),
            .LATENCY(LATENCY),
            .SHADOWED(SHADOWED),
            .OPERAND_BITS(OPERAND_BITS),
            .SUM_BITS(SUM_BITS)
        ) cell_ (
            .clk(clk),
            .reset(reset),
            .streamed_in(from_left),
            .first_in(first_from_left),
            .streamed_out(streamed[AT*ELEMENT+:ELEMENT]),
            .first_out(first[AT]),
            .write(edge_columns_valid[c] && edge_columns_row[c*16+:16] == 16'(r)),
            .stationary_in(edge_columns[c*ELEMENT+:ELEMENT]),
            .sum_in(from_above),
            .sum_out(sums[AT*SUM_BITS+:SUM_BITS]),
            .sum_next(next)
        );
      end
    end
  endgenerate

  assign ended = leaving_last[COLUMNS-1];

  // Cycles until the youngest vector has left the last column.
  localparam logic [31:0] TAIL = 32'(ROWS * LATENCY + COLUMNS - 2);
  logic [31:0] tail;
  logic occupied;
  always_ff @(posedge clk) begin
    if (reset) begin
      tail <= '0;
      occupied <= 1'b0;
    end else if (stream_valid) begin
      tail <= TAIL;
      occupied <= TAIL != '0;
    end else if (occupied) begin
      tail <= tail - 1;
      occupied <= tail != 32'd1;
    end
  end
  assign drained = ~occupied;
endmodule
