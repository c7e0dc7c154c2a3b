// A delay line of DEPTH cycles; of none, a wire. Skews at the edges of an array, and their undoing, are made of it.
module systole_delay #(
    parameter int WIDTH = 1,
    parameter int DEPTH = 1
) (
    input logic clk,
    input logic reset,
    input logic [WIDTH-1:0] in,
    output logic [WIDTH-1:0] out
);
  generate
    if (DEPTH == 0) begin : wire_only
      assign out = in;
    end else if (DEPTH == 1) begin : one
      logic [WIDTH-1:0] stage;
      always_ff @(posedge clk) stage <= reset ? '0 : in;
      assign out = stage;
    end else begin : line
      logic [DEPTH*WIDTH-1:0] history;
      always_ff @(posedge clk) history <= reset ? '0 : {history[(DEPTH-1)*WIDTH-1:0], in};
      assign out = history[(DEPTH-1)*WIDTH+:WIDTH];
    end
  endgenerate
endmodule
