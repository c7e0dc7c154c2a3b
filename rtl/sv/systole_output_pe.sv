// T-5, a PE of the output-stationary array: operands pass to the right, weights down, their products are added up in its register in L cycles; the last
// step of a fold hands the sum over.
module systole_output_pe #(
    parameter int PRODUCTS = 1,
    parameter int LATENCY = 1,
    parameter int OPERAND_BITS = 17,
    parameter int WORD_BITS = 32,
    parameter bit SATURATES = 0
) (
    input logic clk,
    input logic reset,
    input logic [PRODUCTS*OPERAND_BITS-1:0] operands_in,
    output logic [PRODUCTS*OPERAND_BITS-1:0] operands_out,
    input logic [PRODUCTS*OPERAND_BITS-1:0] weights_in,
    output logic [PRODUCTS*OPERAND_BITS-1:0] weights_out,
    // Bit 0: a step is here; bit 1: it is the first of its fold; bit 2: the last.
    input logic [2:0] step_in,
    output logic [2:0] step_out,
    // The fold's sum is done in this cycle.
    output logic finished,
    output logic signed [WORD_BITS-1:0] finished_sum
);
  localparam int CHUNK_BITS = 2 * OPERAND_BITS + $clog2(PRODUCTS) + 1;
  logic signed [CHUNK_BITS-1:0] products;
  systole_dot #(
      .PRODUCTS(PRODUCTS),
      .OPERAND_BITS(OPERAND_BITS),
      .SUM_BITS(CHUNK_BITS)
  ) dot (
      .a(operands_in),
      .b(weights_in),
      .sum(products)
  );

  logic signed [CHUNK_BITS-1:0] chunk;
  logic [2:0] step;
  systole_delay #(
      .WIDTH(CHUNK_BITS + 3),
      .DEPTH(LATENCY - 1)
  ) stages (
      .clk(clk),
      .reset(reset),
      .in({products, step_in}),
      .out({chunk, step})
  );

  logic signed [WORD_BITS-1:0] register;
  systole_add #(
      .WORD_BITS(WORD_BITS),
      .ADDEND_BITS(CHUNK_BITS),
      .SATURATES(SATURATES)
  ) add (
      .word(step[1] ? WORD_BITS'(0) : register),
      .addend(chunk),
      .sum(finished_sum)
  );
  assign finished = step[0] & step[2];

  always_ff @(posedge clk) begin
    if (reset) begin
      operands_out <= '0;
      weights_out <= '0;
      step_out <= '0;
      register <= '0;
    end else begin
      operands_out <= operands_in;
      weights_out <= weights_in;
      step_out <= step_in;
      if (step[0]) register <= finished_sum;
    end
  end
endmodule
