// M-5: bytes become operands: read as signed or not, minus the zero point; 0 outside the input.
module systole_operands #(
    parameter int COUNT = 4,
    parameter int PRODUCTS = 1,
    parameter int ELEMENT_BYTES = 1,
    parameter int OPERAND_BITS = 17
) (
    input logic [COUNT*ELEMENT_BYTES*8-1:0] data,
    input logic [COUNT-1:0] present,
    // Two bytes an element, signed.
    input logic wide,
    input logic is_signed,
    input logic [15:0] zero,
    output logic [COUNT*OPERAND_BITS-1:0] operands
);
  genvar k;
  generate
    for (k = 0; k < COUNT; k = k + 1) begin : operand
      // Elements of a lane lie side by side from its first byte on.
      localparam int LANE = k / PRODUCTS * PRODUCTS * ELEMENT_BYTES;
      logic [7:0] narrow;
      logic [16:0] value;
      logic signed [16:0] centred;
      assign narrow = data[(LANE+k%PRODUCTS)*8+:8];
      if (ELEMENT_BYTES == 2) begin : either
        logic [15:0] both;
        assign both = data[(LANE+k%PRODUCTS*2)*8+:16];
        assign value = wide ? {both[15], both} : {{9{is_signed & narrow[7]}}, narrow};
      end else begin : byte_only
        assign value = {{9{is_signed & narrow[7]}}, narrow};
      end
      assign centred = value - {zero[15], zero};
      assign operands[k*OPERAND_BITS+:OPERAND_BITS] = present[k] ? OPERAND_BITS'(centred) : '0;
    end
  endgenerate
endmodule
