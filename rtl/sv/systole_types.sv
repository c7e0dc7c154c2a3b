// The nouns of the array's control: a run (the registers of an `ar.run`, M-3 and M-5) and a place in its sequence of folds.
package systole_types;
  localparam logic [1:0] WEIGHT_STATIONARY = 2'd0;
  localparam logic [1:0] OUTPUT_STATIONARY = 2'd1;
  localparam logic [1:0] INPUT_STATIONARY = 2'd2;

  typedef struct packed {
    logic [1:0] dataflow;
    logic packed_taps;
    logic accumulate;
    logic signed_activation;
    logic signed_weight;
    logic wide_activation;
    logic [15:0] zero_activation;
    logic [15:0] zero_weight;
    logic [15:0] height;
    logic [15:0] width;
    logic [31:0] row_pitch;
    logic [23:0] pixel_pitch;
    logic [11:0] kernel_h;
    logic [11:0] kernel_w;
    logic [7:0] stride_h;
    logic [7:0] stride_w;
    logic [7:0] dilation_h;
    logic [7:0] dilation_w;
    logic [7:0] pad_top;
    logic [7:0] pad_left;
    logic [15:0] height_out;
    logic [15:0] width_out;
    logic [23:0] channels;
    logic [23:0] block_step;
    logic [15:0] outputs;
    logic [31:0] activation;
    logic [31:0] weight;
    logic [21:0] accumulator;
    logic [11:0] blocks;
    // v: cycles from a vector, or step, to the next.
    logic [31:0] beats;
    // wl: cycles to load a row of the array.
    logic [31:0] row_cycles;
  } run_t;

  // A chunk of a block.
  typedef struct packed {
    logic [11:0] kernel_row;
    logic [11:0] tap;
    // Elements of the run before the chunk.
    logic [31:0] place;
    // f.
    logic [31:0] number;
  } chunk_t;

  // A fold.
  typedef struct packed {
    logic [11:0] block;
    // Address of the block's input.
    logic [31:0] input_base;
    // First pixel of the group.
    logic [16:0] y;
    logic [15:0] x;
    chunk_t chunk;
    // b * F.
    logic [31:0] tile_base;
    // Accumulator vector of the block's first pixel, and of the fold's first vector or row.
    logic [31:0] block_sums;
    logic [31:0] sums;
  } fold_t;
endpackage
