// Output pixels in row order: COUNT of them from a first one on, and the one behind them. No division: each is the step from the one before.
module systole_pixels #(
    parameter int COUNT = 1
) (
    input logic [16:0] y,
    input logic [15:0] x,
    input logic [15:0] width,
    output logic [COUNT*17-1:0] ys,
    output logic [COUNT*16-1:0] xs,
    output logic [16:0] next_y,
    output logic [15:0] next_x
);
  logic [16:0] at_y;
  logic [15:0] at_x;
  always_comb begin
    at_y = y;
    at_x = x;
    for (int k = 0; k < COUNT; k = k + 1) begin
      ys[k*17+:17] = at_y;
      xs[k*16+:16] = at_x;
      if (at_x + 16'd1 == width) begin
        at_x = '0;
        at_y = at_y + 17'd1;
      end else begin
        at_x = at_x + 16'd1;
      end
    end
    next_y = at_y;
    next_x = at_x;
  end
endmodule
