// N-20: a sum of WORD_BITS bits and an addend of any width; modulo 2^WORD_BITS, or clamped.
module systole_add #(
    parameter int WORD_BITS = 32,
    parameter int ADDEND_BITS = 40,
    parameter bit SATURATES = 0
) (
    input logic signed [WORD_BITS-1:0] word,
    input logic signed [ADDEND_BITS-1:0] addend,
    output logic signed [WORD_BITS-1:0] sum
);
  localparam int BITS = (WORD_BITS > ADDEND_BITS ? WORD_BITS : ADDEND_BITS) + 1;
  logic signed [BITS-1:0] exact;
  assign exact = BITS'(word) + BITS'(addend);

  generate
    if (SATURATES) begin : clamps
      // It fits when all bits from the sign of a word upwards are the same.
      logic fits;
      assign fits = (&exact[BITS-1:WORD_BITS-1]) | ~(|exact[BITS-1:WORD_BITS-1]);
      assign sum = fits ? exact[WORD_BITS-1:0] : {exact[BITS-1], {(WORD_BITS - 1) {~exact[BITS-1]}}};
    end else begin : wraps
      assign sum = exact[WORD_BITS-1:0];
    end
  endgenerate
endmodule
