// T-5, which tile loads, which fold streams and which vector or step enters in a cycle. What happens in a cycle is decided on the registers as they are at its
// beginning: first folds that begin, then a run that starts, then rows and vectors.
module systole_sequencer #(
    parameter int ROWS = 4,
    parameter int COLUMNS = 4,
    parameter int PRODUCTS = 1,
    parameter bit SHADOWED = 1,
    parameter int DRAIN_CYCLES = 1
) (
    input logic clk,
    input logic reset,
    // A run starts in this cycle; only when `ready`.
    input logic start,
    input systole_types::run_t start_run,
    output logic ready,
    // Not released at the end of the cycle.
    output logic engaged,
    // The arrays' state: nothing under way; the last sum of a run is accumulated in this cycle.
    input logic drained,
    input logic ended,
    // A row of a tile is complete in this cycle.
    output logic load_valid,
    output systole_types::run_t load_run,
    output systole_types::fold_t load_fold,
    output logic [15:0] load_row,
    // A vector or step enters in this cycle: of which fold, pixel (weight-stationary), number, chunk (output-stationary: of the step).
    output logic enter_valid,
    output systole_types::run_t enter_run,
    output systole_types::fold_t enter_fold,
    output systole_types::chunk_t enter_chunk,
    output logic [16:0] enter_y,
    output logic [15:0] enter_x,
    output logic [31:0] enter_index,
    output logic enter_first,
    // The last of its fold; the fold is the last of its run.
    output logic enter_last,
    output logic enter_last_fold
);
  localparam logic [1:0] IDLE = 2'd0;
  localparam logic [1:0] LOADING = 2'd1;
  localparam logic [1:0] LOADED = 2'd2;
  localparam logic [1:0] FOLLOWING = 2'd3;
  // Cycles of a whole drain.
  localparam logic [31:0] DRAIN = 32'(ROWS * DRAIN_CYCLES);

  // The fold that comes next.
  logic [1:0] front;
  systole_types::run_t front_run;
  systole_types::fold_t front_fold;
  logic [15:0] front_row;
  logic [31:0] front_beat;
  // The fold whose vectors or steps enter.
  logic streaming;
  systole_types::run_t stream_run;
  systole_types::fold_t stream_fold;
  systole_types::chunk_t stream_chunk;
  logic stream_last_fold;
  logic [16:0] stream_y;
  logic [15:0] stream_x;
  logic [31:0] stream_index;
  logic [31:0] stream_beat;
  // Output-stationary: cycles since the last step of a fold entered, no more than a drain takes.
  logic [31:0] since_last_step;
  logic held;
  logic ended_before;

  systole_types::fold_t start_fold;
  always_comb begin
    start_fold = '0;
    start_fold.input_base = start_run.activation;
    start_fold.block_sums = 32'(start_run.accumulator);
    start_fold.sums = 32'(start_run.accumulator);
  end

  // What the last cycle brought about. With one register a stream is over with its last vector, with two after that one's v cycles.
  logic [31:0] stream_vectors;
  logic stream_over, occupied;
  assign stream_over = stream_index == stream_vectors
      || (!SHADOWED && stream_index + 1 == stream_vectors && stream_beat != 0);
  assign occupied = streaming && !stream_over;

  logic front_sums_stay, start_sums_stay, load_done, front_begins, start_begins, resumes;
  // The fold that may begin by itself: the one that waits, or that of the run that starts.
  systole_types::run_t begin_run;
  systole_types::fold_t begin_fold;
  systole_types::fold_t next_fold;
  logic no_next;
  logic [31:0] begin_chunks;
  logic apart;
  assign front_sums_stay = front_run.dataflow == systole_types::OUTPUT_STATIONARY;
  assign start_sums_stay = start_run.dataflow == systole_types::OUTPUT_STATIONARY;
  assign load_done = front == LOADING && front_row == 16'(ROWS);
  assign begin_run = front == IDLE ? start_run : front_run;
  assign begin_fold = front == IDLE ? start_fold : front_fold;
  systole_next_fold #(
      .ROWS(ROWS),
      .COLUMNS(COLUMNS),
      .PRODUCTS(PRODUCTS)
  ) folds (
      .run(begin_run),
      .fold(begin_fold),
      .next(next_fold),
      .last(no_next),
      .block_chunks(begin_chunks)
  );
  // With two registers a fold's last step comes no earlier than a drain after that of the fold before.
  assign apart = SHADOWED ? since_last_step + (begin_chunks - 1) * begin_run.beats >= DRAIN : drained;
  assign front_begins = !occupied
      && (front == LOADED || load_done || (front == FOLLOWING && front_sums_stay && apart));
  assign resumes = !occupied && front == FOLLOWING && !front_sums_stay && drained;
  assign start_begins = start && start_sums_stay && front == IDLE && !occupied && apart;

  logic held_still;
  assign held_still = held && !(SHADOWED ? front_begins && no_next : ended_before);
  assign ready = !held_still;
  assign engaged = start ? !(SHADOWED && start_begins && no_next) : held_still;

  // The front in this cycle.
  logic [1:0] now;
  systole_types::run_t now_run;
  systole_types::fold_t now_fold;
  logic [15:0] now_row;
  logic [31:0] now_beat;
  always_comb begin
    now = front;
    now_run = front_run;
    now_fold = front_fold;
    now_row = front_row;
    now_beat = front_beat;
    if (start) begin
      now = start_begins ? (no_next ? IDLE : FOLLOWING) : (start_sums_stay ? FOLLOWING : LOADING);
      now_run = start_run;
      now_fold = start_begins ? next_fold : start_fold;
      now_row = '0;
      now_beat = '0;
    end else if (front_begins) begin
      now = no_next ? IDLE : (SHADOWED && !front_sums_stay) ? LOADING : FOLLOWING;
      now_fold = next_fold;
      now_row = '0;
      now_beat = '0;
    end else if (resumes) begin
      now = LOADING;
      now_row = '0;
      now_beat = '0;
    end else if (load_done) begin
      now = LOADED;
    end
  end
  assign load_valid = now == LOADING && now_beat + 1 == now_run.row_cycles;
  assign load_run = now_run;
  assign load_fold = now_fold;
  assign load_row = now_row;

  // The stream in this cycle.
  logic begins;
  logic enters;
  logic [31:0] enter_beat;
  assign begins = front_begins || start_begins;
  assign enters = begins || occupied;
  assign enter_run = begins ? begin_run : stream_run;
  assign enter_fold = begins ? begin_fold : stream_fold;
  assign enter_chunk = begins ? begin_fold.chunk : stream_chunk;
  assign enter_y = begins ? '0 : stream_y;
  assign enter_x = begins ? '0 : stream_x;
  assign enter_index = begins ? '0 : stream_index;
  assign enter_beat = begins ? '0 : stream_beat;
  assign enter_last_fold = begins ? no_next : stream_last_fold;

  systole_types::chunk_t next_chunk;
  logic unused_last;
  logic [31:0] unused_length, unused_elements;
  logic [31:0] enter_chunks;
  systole_next_chunk #(
      .ROWS(ROWS),
      .PRODUCTS(PRODUCTS)
  ) chunks (
      .run(enter_run),
      .chunk(enter_chunk),
      .next(next_chunk),
      .last(unused_last),
      .length(unused_length),
      .run_elements(unused_elements),
      .block_chunks(enter_chunks)
  );
  logic enter_sums_stay;
  logic [31:0] enter_vectors;
  assign enter_sums_stay = enter_run.dataflow == systole_types::OUTPUT_STATIONARY;
  assign enter_vectors = enter_sums_stay ? enter_chunks
      : enter_run.dataflow == systole_types::INPUT_STATIONARY ? 32'(enter_run.outputs)
      : 32'(enter_run.height_out) * 32'(enter_run.width_out);
  logic beat_ends;
  assign enter_valid = enters && enter_beat == 0;
  assign enter_first = enter_index == 0;
  assign enter_last = enter_index + 1 == enter_vectors;
  assign beat_ends = enter_beat + 1 == enter_run.beats;

  logic row_ends;
  assign row_ends = enter_x + 16'd1 == enter_run.width_out;
  always_ff @(posedge clk) begin
    if (reset) begin
      front <= IDLE;
      streaming <= 1'b0;
      held <= 1'b0;
      ended_before <= 1'b0;
      since_last_step <= DRAIN;
    end else begin
      front <= now;
      streaming <= enters;
      held <= engaged;
      ended_before <= ended;
      if (enter_valid && enter_last && enter_sums_stay) since_last_step <= 32'd1;
      else if (since_last_step < DRAIN) since_last_step <= since_last_step + 1;
    end
    front_run <= now_run;
    front_fold <= now_fold;
    front_row <= load_valid ? now_row + 16'd1 : now_row;
    front_beat <= load_valid ? '0 : now_beat + 1;
    stream_run <= enter_run;
    stream_fold <= enter_fold;
    stream_last_fold <= enter_last_fold;
    stream_vectors <= enter_vectors;
    stream_beat <= beat_ends ? '0 : enter_beat + 1;
    stream_index <= beat_ends ? enter_index + 1 : enter_index;
    stream_chunk <= beat_ends && enter_sums_stay ? next_chunk : enter_chunk;
    stream_x <= !beat_ends ? enter_x : row_ends ? '0 : enter_x + 16'd1;
    stream_y <= beat_ends && row_ends ? enter_y + 17'd1 : enter_y;
  end
endmodule
