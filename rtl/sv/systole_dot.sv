// M-5: the exact sum of D products of signed operands.
module systole_dot #(
    parameter int PRODUCTS = 1,
    parameter int OPERAND_BITS = 17,
    parameter int SUM_BITS = 40
) (
    input logic [PRODUCTS*OPERAND_BITS-1:0] a,
    input logic [PRODUCTS*OPERAND_BITS-1:0] b,
    output logic signed [SUM_BITS-1:0] sum
);
  logic signed [PRODUCTS*2*OPERAND_BITS-1:0] products;
  genvar d;
  generate
    for (d = 0; d < PRODUCTS; d = d + 1) begin : product
      logic signed [OPERAND_BITS-1:0] x;
      logic signed [OPERAND_BITS-1:0] w;
      logic signed [2*OPERAND_BITS-1:0] xw;
      assign x = a[d*OPERAND_BITS+:OPERAND_BITS];
      assign w = b[d*OPERAND_BITS+:OPERAND_BITS];
      assign xw = x * w;
      assign products[d*2*OPERAND_BITS+:2*OPERAND_BITS] = xw;
    end
  endgenerate

  always_comb begin
    sum = '0;
    for (int k = 0; k < PRODUCTS; k = k + 1)
    sum = sum + SUM_BITS'($signed(products[k*2*OPERAND_BITS+:2*OPERAND_BITS]));
  end
endmodule
