// T-5, a PE of the weight- and input-stationary array: D operands that stay, D that stream, and a sum that passes through in L cycles.
module systole_pe #(
    parameter int PRODUCTS = 1,
    parameter int LATENCY = 1,
    parameter bit SHADOWED = 1,
    parameter int OPERAND_BITS = 17,
    parameter int SUM_BITS = 40
) (
    input logic clk,
    input logic reset,
    // The streamed operands of this cycle, and whether they are of the first vector of their fold.
    input logic [PRODUCTS*OPERAND_BITS-1:0] streamed_in,
    input logic first_in,
    output logic [PRODUCTS*OPERAND_BITS-1:0] streamed_out,
    output logic first_out,
    // Operands that arrive in order to stay: in the shadow register, or the only one, at the end of the cycle.
    input logic write,
    input logic [PRODUCTS*OPERAND_BITS-1:0] stationary_in,
    // The sum of the rows above; the sum on its way to the row below; what that will be in the next cycle.
    input logic signed [SUM_BITS-1:0] sum_in,
    output logic signed [SUM_BITS-1:0] sum_out,
    output logic signed [SUM_BITS-1:0] sum_next
);
  logic [PRODUCTS*OPERAND_BITS-1:0] active;
  logic [PRODUCTS*OPERAND_BITS-1:0] staying;

  generate
    if (SHADOWED) begin : shadow_register
      logic [PRODUCTS*OPERAND_BITS-1:0] shadow;
      // The first vector takes the shadow register over before this cycle's write to it.
      assign staying = first_in ? shadow : active;
      always_ff @(posedge clk) begin
        if (reset) begin
          active <= '0;
          shadow <= '0;
        end else begin
          active <= staying;
          if (write) shadow <= stationary_in;
        end
      end
    end else begin : one_register
      assign staying = active;
      always_ff @(posedge clk) begin
        if (reset) active <= '0;
        else if (write) active <= stationary_in;
      end
    end
  endgenerate

  logic signed [SUM_BITS-1:0] products;
  systole_dot #(
      .PRODUCTS(PRODUCTS),
      .OPERAND_BITS(OPERAND_BITS),
      .SUM_BITS(SUM_BITS)
  ) dot (
      .a(streamed_in),
      .b(staying),
      .sum(products)
  );

  systole_delay #(
      .WIDTH(SUM_BITS),
      .DEPTH(LATENCY - 1)
  ) stages (
      .clk(clk),
      .reset(reset),
      .in(sum_in + products),
      .out(sum_next)
  );

  always_ff @(posedge clk) begin
    if (reset) begin
      streamed_out <= '0;
      first_out <= 1'b0;
      sum_out <= '0;
    end else begin
      streamed_out <= streamed_in;
      first_out <= first_in;
      sum_out <= sum_next;
    end
  end
endmodule
