// The partial sums of one column (M-1), with the adder of N-20: a sum that leaves the array is added to its word, or replaces it, at the end of the cycle.
// Columns finish a vector one cycle after the other; each writes its own memory, so that nothing need be held back to write a vector as a whole.
module systole_accumulators #(
    parameter int VECTORS = 64,
    parameter int WORD_BITS = 32,
    parameter int SUM_BITS = 40,
    parameter bit SATURATES = 0
) (
    input logic clk,
    input logic valid,
    input logic [31:0] vector,
    input logic replaces,
    input logic signed [SUM_BITS-1:0] sum,
    // The word that is written.
    output logic [WORD_BITS-1:0] word,
    // The vector unit's side.
    input logic [31:0] read_vector,
    output logic [WORD_BITS-1:0] read_word
);
  localparam int INDEX_BITS = VECTORS > 1 ? $clog2(VECTORS) : 1;
  logic [WORD_BITS-1:0] words[VECTORS];
  logic [WORD_BITS-1:0] old_word;
  assign old_word = words[vector[INDEX_BITS-1:0]];
  systole_add #(
      .WORD_BITS(WORD_BITS),
      .ADDEND_BITS(SUM_BITS),
      .SATURATES(SATURATES)
  ) add (
      .word(replaces ? WORD_BITS'(0) : old_word),
      .addend(sum),
      .sum(word)
  );
  always_ff @(posedge clk) if (valid) words[vector[INDEX_BITS-1:0]] <= word;
  assign read_word = words[read_vector[INDEX_BITS-1:0]];
endmodule
