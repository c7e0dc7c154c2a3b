// The array of one machine: sequencer, address generator, the grids of its dataflows, and the accumulators. The activation and weight buffers are outside: the
// array states addresses and takes the bytes in the same cycle.
module systole_array #(
    parameter int ROWS = 4,
    parameter int COLUMNS = 4,
    // D, L.
    parameter int PRODUCTS = 1,
    parameter int LATENCY = 1,
    // Two registers of the operand (or sum) that stays.
    parameter bit SHADOWED = 1,
    // Which grids there are.
    parameter bit HAS_OPERAND_GRID = 1,
    parameter bit HAS_OUTPUT_GRID = 1,
    // Bytes of an activation at most.
    parameter int ELEMENT_BYTES = 1,
    // Bits of an operand after its zero point is subtracted.
    parameter int OPERAND_BITS = 17,
    parameter int WORD_BITS = 32,
    parameter bit SATURATES = 0,
    parameter int VECTORS = 64,
    // d: cycles to drain a row of sums.
    parameter int DRAIN_CYCLES = 1,
    // Follow from the others.
    parameter int LANES = ROWS > COLUMNS ? ROWS : COLUMNS,
    parameter int COLUMN_BITS = 2 * OPERAND_BITS + $clog2(ROWS * PRODUCTS) + 1,
    parameter int SUM_BITS = COLUMN_BITS > WORD_BITS ? COLUMN_BITS : WORD_BITS
) (
    input logic clk,
    input logic reset,
    input logic start,
    input systole_types::run_t run,
    output logic ready,
    output logic engaged,
    output logic ended,
    output logic [LANES*32-1:0] activation_address,
    output logic [LANES*PRODUCTS-1:0] activation_inside,
    output logic activation_wide,
    input logic [LANES*PRODUCTS*ELEMENT_BYTES*8-1:0] activation_data,
    output logic weight_request,
    output logic [31:0] weight_address,
    input logic [LANES*PRODUCTS*8-1:0] weight_data,
    input logic [31:0] read_vector,
    output logic [COLUMNS*WORD_BITS-1:0] read_words,
    output logic [ROWS-1:0] edge_rows_valid,
    output logic [ROWS*PRODUCTS*OPERAND_BITS-1:0] edge_rows,
    output logic [COLUMNS-1:0] edge_columns_valid,
    output logic [COLUMNS*16-1:0] edge_columns_row,
    output logic [COLUMNS*PRODUCTS*OPERAND_BITS-1:0] edge_columns,
    output logic [COLUMNS-1:0] leaving_valid,
    output logic [COLUMNS*32-1:0] leaving_vector,
    output logic [COLUMNS*SUM_BITS-1:0] leaving_sum,
    output logic [COLUMNS*WORD_BITS-1:0] leaving_word
);
  localparam int ELEMENT = PRODUCTS * OPERAND_BITS;

  logic load_valid, enter_valid, enter_first, enter_last, enter_last_fold;
  systole_types::run_t load_run, enter_run;
  systole_types::fold_t load_fold, enter_fold;
  systole_types::chunk_t enter_chunk;
  logic [15:0] load_row;
  logic [16:0] enter_y;
  logic [15:0] enter_x;
  logic [31:0] enter_index;
  logic drained, operand_drained, output_drained, operand_ended, output_ended;
  assign drained = operand_drained && output_drained;
  assign ended = operand_ended || output_ended;
  systole_sequencer #(
      .ROWS(ROWS),
      .COLUMNS(COLUMNS),
      .PRODUCTS(PRODUCTS),
      .SHADOWED(SHADOWED),
      .DRAIN_CYCLES(DRAIN_CYCLES)
  ) sequencer (
      .clk(clk),
      .reset(reset),
      .start(start),
      .start_run(run),
      .ready(ready),
      .engaged(engaged),
      .drained(drained),
      .ended(ended),
      .load_valid(load_valid),
      .load_run(load_run),
      .load_fold(load_fold),
      .load_row(load_row),
      .enter_valid(enter_valid),
      .enter_run(enter_run),
      .enter_fold(enter_fold),
      .enter_chunk(enter_chunk),
      .enter_y(enter_y),
      .enter_x(enter_x),
      .enter_index(enter_index),
      .enter_first(enter_first),
      .enter_last(enter_last),
      .enter_last_fold(enter_last_fold)
  );

  // Who reads activations and weights: the tile that loads, or the vector or step that enters. Runs of two dataflows never overlap (T-2).
  logic enter_sums_stay, load_inputs_stay, enter_inputs_stay, loads_activation, loads_weight;
  assign enter_sums_stay = enter_run.dataflow == systole_types::OUTPUT_STATIONARY;
  assign enter_inputs_stay = enter_run.dataflow == systole_types::INPUT_STATIONARY;
  assign load_inputs_stay = load_run.dataflow == systole_types::INPUT_STATIONARY;
  assign loads_activation = load_valid && load_inputs_stay;
  assign loads_weight = load_valid && !load_inputs_stay;

  logic [LANES*32-1:0] enter_activation_address, load_activation_address;
  logic [LANES*PRODUCTS-1:0] enter_activation_inside, load_activation_inside;
  logic [LANES-1:0] enter_has_pixel, unused_has_pixel;
  logic [31:0] enter_weight_address, load_weight_address;
  systole_addresses #(
      .ROWS(ROWS),
      .COLUMNS(COLUMNS),
      .PRODUCTS(PRODUCTS),
      .LANES(LANES)
  ) enter_addresses (
      .run(enter_run),
      .fold(enter_fold),
      .chunk(enter_chunk),
      .pixel_y(enter_y),
      .pixel_x(enter_x),
      .row(16'd0),
      .output_index(enter_index),
      .activation_address(enter_activation_address),
      .activation_inside(enter_activation_inside),
      .has_pixel(enter_has_pixel),
      .weight_address(enter_weight_address)
  );
  systole_addresses #(
      .ROWS(ROWS),
      .COLUMNS(COLUMNS),
      .PRODUCTS(PRODUCTS),
      .LANES(LANES)
  ) load_addresses (
      .run(load_run),
      .fold(load_fold),
      .chunk(load_fold.chunk),
      .pixel_y(17'd0),
      .pixel_x(16'd0),
      .row(load_row),
      .output_index(32'd0),
      .activation_address(load_activation_address),
      .activation_inside(load_activation_inside),
      .has_pixel(unused_has_pixel),
      .weight_address(load_weight_address)
  );
  assign activation_address = loads_activation ? load_activation_address : enter_activation_address;
  assign activation_inside = loads_activation ? load_activation_inside
      : enter_valid && !enter_inputs_stay ? enter_activation_inside : '0;
  assign activation_wide = loads_activation ? load_run.wide_activation : enter_run.wide_activation;
  assign weight_request = loads_weight || (enter_valid && (enter_sums_stay || enter_inputs_stay));
  assign weight_address = loads_weight ? load_weight_address : enter_weight_address;

  // M-5: bytes become operands.
  logic [LANES*ELEMENT-1:0] activations;
  logic [LANES*ELEMENT-1:0] weights;
  systole_operands #(
      .COUNT(LANES * PRODUCTS),
      .PRODUCTS(PRODUCTS),
      .ELEMENT_BYTES(ELEMENT_BYTES),
      .OPERAND_BITS(OPERAND_BITS)
  ) activation_operands (
      .data(activation_data),
      .present(activation_inside),
      .wide(activation_wide),
      .is_signed(loads_activation ? load_run.signed_activation : enter_run.signed_activation),
      .zero(loads_activation ? load_run.zero_activation : enter_run.zero_activation),
      .operands(activations)
  );
  systole_operands #(
      .COUNT(LANES * PRODUCTS),
      .PRODUCTS(PRODUCTS),
      .ELEMENT_BYTES(1),
      .OPERAND_BITS(OPERAND_BITS)
  ) weight_operands (
      .data(weight_data),
      .present({LANES * PRODUCTS{1'b1}}),
      .wide(1'b0),
      .is_signed(loads_weight ? load_run.signed_weight : enter_run.signed_weight),
      .zero(loads_weight ? load_run.zero_weight : enter_run.zero_weight),
      .operands(weights)
  );

  // Weights of D vectors of C, by column.
  logic [COLUMNS*ELEMENT-1:0] column_weights;
  genvar c, d;
  generate
    for (c = 0; c < COLUMNS; c = c + 1) begin : by_column
      for (d = 0; d < PRODUCTS; d = d + 1) begin : by_product
        assign column_weights[(c*PRODUCTS+d)*OPERAND_BITS+:OPERAND_BITS] = weights[(d*COLUMNS+c)*OPERAND_BITS+:OPERAND_BITS];
      end
    end
  endgenerate

  logic replaces;
  assign replaces = enter_fold.chunk.number == 0 && !enter_run.accumulate;

  logic [ROWS-1:0] operand_rows_valid, output_rows_valid;
  logic [ROWS*ELEMENT-1:0] operand_rows, output_rows;
  logic [COLUMNS-1:0] operand_columns_valid, output_columns_valid;
  logic [COLUMNS*ELEMENT-1:0] operand_columns, output_columns;
  logic [COLUMNS-1:0] operand_leaving_valid, output_leaving_valid;
  logic [COLUMNS*32-1:0] operand_leaving_vector, output_leaving_vector;
  logic [COLUMNS-1:0] operand_leaving_replaces, output_leaving_replaces;
  logic [COLUMNS*SUM_BITS-1:0] operand_leaving;
  logic [COLUMNS*WORD_BITS-1:0] output_leaving;
  generate
    if (HAS_OPERAND_GRID) begin : operand_grid
      systole_grid #(
          .ROWS(ROWS),
          .COLUMNS(COLUMNS),
          .PRODUCTS(PRODUCTS),
          .LATENCY(LATENCY),
          .SHADOWED(SHADOWED),
          .OPERAND_BITS(OPERAND_BITS),
          .SUM_BITS(SUM_BITS)
      ) grid (
          .clk(clk),
          .reset(reset),
          .stream_valid(enter_valid && !enter_sums_stay),
          .stream(enter_inputs_stay ? weights[ROWS*ELEMENT-1:0] : activations[ROWS*ELEMENT-1:0]),
          .stream_first(enter_first),
          .stream_vector(enter_fold.sums + enter_index),
          .stream_replaces(replaces),
          .stream_last(enter_last && enter_last_fold),
          .row_valid(load_valid),
          .row_index(load_row),
          .row(load_inputs_stay ? activations[COLUMNS*ELEMENT-1:0] : column_weights),
          .drained(operand_drained),
          .edge_rows_valid(operand_rows_valid),
          .edge_rows(operand_rows),
          .edge_columns_valid(operand_columns_valid),
          .edge_columns_row(edge_columns_row),
          .edge_columns(operand_columns),
          .leaving_valid(operand_leaving_valid),
          .leaving_vector(operand_leaving_vector),
          .leaving_replaces(operand_leaving_replaces),
          .leaving(operand_leaving),
          .ended(operand_ended)
      );
    end else begin : no_operand_grid
      assign operand_drained = 1'b1;
      assign operand_rows_valid = '0;
      assign operand_rows = '0;
      assign operand_columns_valid = '0;
      assign edge_columns_row = '0;
      assign operand_columns = '0;
      assign operand_leaving_valid = '0;
      assign operand_leaving_vector = '0;
      assign operand_leaving_replaces = '0;
      assign operand_leaving = '0;
      assign operand_ended = 1'b0;
    end
    if (HAS_OUTPUT_GRID) begin : output_grid
      systole_output_grid #(
          .ROWS(ROWS),
          .COLUMNS(COLUMNS),
          .PRODUCTS(PRODUCTS),
          .LATENCY(LATENCY),
          .DRAIN_CYCLES(DRAIN_CYCLES),
          .OPERAND_BITS(OPERAND_BITS),
          .WORD_BITS(WORD_BITS),
          .SATURATES(SATURATES)
      ) grid (
          .clk(clk),
          .reset(reset),
          .step_valid(enter_valid && enter_sums_stay),
          .step_first(enter_first),
          .step_last(enter_last),
          .operands(activations[ROWS*ELEMENT-1:0]),
          .weights(column_weights),
          .target_vector(enter_fold.sums),
          .target_rows(enter_has_pixel[ROWS-1:0]),
          .target_replaces(replaces),
          .target_last(enter_last_fold),
          .drained(output_drained),
          .edge_rows_valid(output_rows_valid),
          .edge_rows(output_rows),
          .edge_columns_valid(output_columns_valid),
          .edge_columns(output_columns),
          .leaving_valid(output_leaving_valid),
          .leaving_vector(output_leaving_vector),
          .leaving_replaces(output_leaving_replaces),
          .leaving(output_leaving),
          .ended(output_ended)
      );
    end else begin : no_output_grid
      assign output_drained = 1'b1;
      assign output_rows_valid = '0;
      assign output_rows = '0;
      assign output_columns_valid = '0;
      assign output_columns = '0;
      assign output_leaving_valid = '0;
      assign output_leaving_vector = '0;
      assign output_leaving_replaces = '0;
      assign output_leaving = '0;
      assign output_ended = 1'b0;
    end
  endgenerate

  genvar r, e;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : row_edge
      assign edge_rows_valid[r] = operand_rows_valid[r] | output_rows_valid[r];
      assign edge_rows[r*ELEMENT+:ELEMENT] = operand_rows_valid[r] ? operand_rows[r*ELEMENT+:ELEMENT]
          : output_rows_valid[r] ? output_rows[r*ELEMENT+:ELEMENT] : '0;
    end
    for (e = 0; e < COLUMNS; e = e + 1) begin : column_edge
      logic replaces_word;
      assign edge_columns_valid[e] = operand_columns_valid[e] | output_columns_valid[e];
      assign edge_columns[e*ELEMENT+:ELEMENT] = operand_columns_valid[e] ? operand_columns[e*ELEMENT+:ELEMENT]
          : output_columns_valid[e] ? output_columns[e*ELEMENT+:ELEMENT] : '0;
      assign leaving_valid[e] = operand_leaving_valid[e] | output_leaving_valid[e];
      assign leaving_vector[e*32+:32] = output_leaving_valid[e] ? output_leaving_vector[e*32+:32]
          : operand_leaving_vector[e*32+:32];
      assign leaving_sum[e*SUM_BITS+:SUM_BITS] = output_leaving_valid[e]
          ? SUM_BITS'($signed(output_leaving[e*WORD_BITS+:WORD_BITS])) : operand_leaving[e*SUM_BITS+:SUM_BITS];
      assign replaces_word = output_leaving_valid[e] ? output_leaving_replaces[e] : operand_leaving_replaces[e];
      systole_accumulators #(
          .VECTORS(VECTORS),
          .WORD_BITS(WORD_BITS),
          .SUM_BITS(SUM_BITS),
          .SATURATES(SATURATES)
      ) accumulators (
          .clk(clk),
          .valid(leaving_valid[e]),
          .vector(leaving_vector[e*32+:32]),
          .replaces(replaces_word),
          .sum(leaving_sum[e*SUM_BITS+:SUM_BITS]),
          .word(leaving_word[e*WORD_BITS+:WORD_BITS]),
          .read_vector(read_vector),
          .read_word(read_words[e*WORD_BITS+:WORD_BITS])
      );
    end
  endgenerate
endmodule
