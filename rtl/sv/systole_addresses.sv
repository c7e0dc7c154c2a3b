// M-5, the addresses of a window: LANES runs of D operands each, which of them are operands at all (the others are 0), and the address of the weights.
module systole_addresses #(
    parameter int ROWS = 4,
    parameter int COLUMNS = 4,
    parameter int PRODUCTS = 1,
    parameter int LANES = 4
) (
    input systole_types::run_t run,
    input systole_types::fold_t fold,
    input systole_types::chunk_t chunk,
    // Weight-stationary: the pixel of the vector. Otherwise the lanes are the pixels of the fold's group.
    input logic [16:0] pixel_y,
    input logic [15:0] pixel_x,
    // The row of a tile that loads.
    input logic [15:0] row,
    // Input-stationary: the output whose weights stream.
    input logic [31:0] output_index,
    // By lane: the address of its first operand, which of its D are inside the input, whether it has a pixel.
    output logic [LANES*32-1:0] activation_address,
    output logic [LANES*PRODUCTS-1:0] activation_inside,
    output logic [LANES-1:0] has_pixel,
    // Weight-stationary: of a row of the tile; output-stationary: of a step; D vectors of C. Input-stationary: of an output; R * D.
    output logic [31:0] weight_address
);
  logic sums_stay, inputs_stay;
  assign sums_stay = run.dataflow == systole_types::OUTPUT_STATIONARY;
  assign inputs_stay = run.dataflow == systole_types::INPUT_STATIONARY;

  logic [LANES*17-1:0] ys;
  logic [LANES*16-1:0] xs;
  logic [16:0] unused_y;
  logic [15:0] unused_x;
  systole_pixels #(
      .COUNT(LANES)
  ) pixels (
      .y(fold.y),
      .x(fold.x),
      .width(run.width_out),
      .ys(ys),
      .xs(xs),
      .next_y(unused_y),
      .next_x(unused_x)
  );

  logic [31:0] run_elements;
  assign run_elements = run.packed_taps ? 32'(run.kernel_w) * 32'(run.channels) : 32'(run.channels);

  genvar l, d;
  generate
    for (l = 0; l < LANES; l = l + 1) begin : lane
      logic [16:0] y;
      logic [15:0] x;
      logic signed [31:0] input_row, input_column;
      logic inside_rows, inside_columns;
      // Elements of the run before the lane's first one.
      logic [31:0] element;
      // Bytes from the beginning of the row.
      logic signed [55:0] offset;
      logic signed [55:0] row_bytes;
      assign y = sums_stay || inputs_stay ? ys[l*17+:17] : pixel_y;
      assign x = sums_stay || inputs_stay ? xs[l*16+:16] : pixel_x;
      assign has_pixel[l] = y < 17'(run.height_out);
      assign input_row = 32'(y) * 32'(run.stride_h) + 32'(chunk.kernel_row) * 32'(run.dilation_h) - 32'(run.pad_top);
      assign input_column = 32'(x) * 32'(run.stride_w)
          + (run.packed_taps ? 32'd0 : 32'(chunk.tap) * 32'(run.dilation_w)) - 32'(run.pad_left);
      assign inside_rows = input_row >= 0 && input_row < $signed(32'(run.height));
      assign inside_columns = input_column >= 0 && input_column < $signed(32'(run.width));
      assign element = chunk.place + (sums_stay ? 32'd0 : inputs_stay ? 32'(row) * 32'(PRODUCTS) : 32'(l * PRODUCTS));
      assign offset = 56'(input_column) * $signed(56'(run.pixel_pitch))
          + $signed(run.wide_activation ? {23'd0, element, 1'b0} : {24'd0, element});
      assign row_bytes = $signed(56'(run.width)) * $signed(56'(run.pixel_pitch));
      assign activation_address[l*32+:32] = fold.input_base + 32'(input_row) * run.row_pitch + offset[31:0];
      for (d = 0; d < PRODUCTS; d = d + 1) begin : operand
        logic signed [55:0] at;
        logic inside_row;
        assign at = offset + (run.wide_activation ? 56'(2 * d) : 56'(d));
        // Packed taps lie side by side, so that an operand is inside where its byte is inside the row.
        assign inside_row = run.packed_taps ? at >= 0 && at < row_bytes : inside_columns;
        assign activation_inside[l*PRODUCTS+d] = has_pixel[l] && inside_rows && inside_row
            && element + 32'(d) < run_elements;
      end
    end
  endgenerate

  logic [31:0] tile;
  assign tile = fold.tile_base + chunk.number;
  assign weight_address = run.weight + (
      inputs_stay ? (fold.tile_base * 32'(run.outputs) + chunk.number * 32'(run.outputs) + output_index) * 32'(ROWS * PRODUCTS)
      : sums_stay ? tile * 32'(PRODUCTS * COLUMNS)
      : (tile * 32'(ROWS) + 32'(row)) * 32'(PRODUCTS * COLUMNS));
endmodule
