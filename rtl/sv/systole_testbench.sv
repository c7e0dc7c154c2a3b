// Runs convolutions on the array, and compares all sums and the number of cycles. The sums are computed here from M-5 by plain loops.
module systole_testbench;
  // @PARAMETERS@
  localparam int BYTES = 65536;
  // @PORTS@
  systole_top top (
      // @CONNECTIONS@
  );

  logic [7:0] activations[BYTES];
  logic [7:0] weights[BYTES];

  // The buffers: bytes in the cycle that asks for them.
  always_comb begin
    activation_data = '0;
    weight_data = '0;
    for (int lane = 0; lane < LANES; lane = lane + 1) begin
      for (int d = 0; d < PRODUCTS; d = d + 1) begin
        if (activation_inside[lane*PRODUCTS+d])
          activation_data[(lane*PRODUCTS*ELEMENT_BYTES+d)*8+:8] = activations[16'(activation_address[lane*32+:32]+d)];
      end
    end
    if (weight_request)
      for (int k = 0; k < LANES * PRODUCTS; k = k + 1) weight_data[k*8+:8] = weights[16'(weight_address+k)];
  end

  initial clk = 0;
  always #5 clk = ~clk;

  // X and W of M-5, for a packed run of bytes in one block.
  function automatic longint operand(int f, int j, int q, int pixel);
    int elements, chunks, element, iy, ix;
    elements = int'(run_kernel_w) * int'(run_channels);
    chunks = (elements + q - 1) / q;
    element = f % chunks * q + j;
    iy = pixel / int'(run_width_out) * int'(run_stride_h) + f / chunks - int'(run_pad_top);
    ix = pixel % int'(run_width_out) * int'(run_stride_w) + element / int'(run_channels) - int'(run_pad_left);
    if (element >= elements || iy < 0 || iy >= int'(run_height) || ix < 0 || ix >= int'(run_width)) return 0;
    return longint'(activations[iy*int'(run_row_pitch)+ix*int'(run_pixel_pitch)+element%int'(run_channels)])
        - longint'(run_zero_activation);
  endfunction

  function automatic longint weight(int f, int j, int q, int n);
    int at;
    at = run_dataflow == 2 ? (f * int'(run_outputs) + n) * q + j : (f * q + j) * COLUMNS + n;
    return longint'($signed(weights[at]));
  endfunction

  // Sums are small: neither wrapping nor clamping sets in before 16 bits are exceeded, and the word is compared modulo its bits.
  function automatic longint expected(int pixel, int n);
    int q, chunks;
    longint sum, limit;
    q = run_dataflow == 1 ? PRODUCTS : ROWS * PRODUCTS;
    chunks = int'(run_kernel_h) * ((int'(run_kernel_w) * int'(run_channels) + q - 1) / q);
    limit = longint'(1) << (WORD_BITS - 1);
    sum = 0;
    for (int f = 0; f < chunks; f = f + 1) begin
      for (int j = 0; j < q; j = j + 1) sum = sum + operand(f, j, q, pixel) * weight(f, j, q, n);
      if (SATURATES != 0 && sum >= limit) sum = limit - 1;
      if (SATURATES != 0 && sum < -limit) sum = -limit;
    end
    return sum;
  endfunction

  int failures = 0;

  task automatic convolve(int cycles);
    int taken, pixels, outputs, vector, lane;
    logic [WORD_BITS-1:0] found, wanted;
    @(negedge clk);
    start = 1;
    taken = 1;
    #1;
    while (!ended) begin
      @(negedge clk);
      start = 0;
      taken = taken + 1;
      #1;
    end
    if (taken != cycles) begin
      $display("dataflow %0d: %0d cycles, %0d are expected", run_dataflow, taken, cycles);
      failures = failures + 1;
    end
    @(negedge clk);
    start = 0;
    pixels = int'(run_height_out) * int'(run_width_out);
    outputs = run_dataflow == 2 ? int'(run_outputs) : COLUMNS;
    for (int pixel = 0; pixel < pixels; pixel = pixel + 1) begin
      for (int n = 0; n < outputs; n = n + 1) begin
        vector = run_dataflow == 2 ? pixel / COLUMNS * outputs + n : pixel;
        lane = run_dataflow == 2 ? pixel % COLUMNS : n;
        read_vector = vector;
        #1;
        found = read_words[lane*WORD_BITS+:WORD_BITS];
        wanted = WORD_BITS'(expected(pixel, n));
        if (found !== wanted) begin
          $display("dataflow %0d, pixel %0d, output %0d: %0h, %0h is expected", run_dataflow, pixel, n, found, wanted);
          failures = failures + 1;
        end
      end
    end
    $display("dataflow %0d: %0d cycles, %0d sums compared", run_dataflow, taken, pixels * outputs);
  endtask

  initial begin
    for (int k = 0; k < BYTES; k = k + 1) begin
      activations[k] = 8'((k * 40503 + 77) >> 5);
      weights[k] = 8'((k * 30011 + 5) >> 4);
    end
    reset = 1;
    start = 0;
    read_vector = 0;
    repeat (2) @(negedge clk);
    reset = 0;
    // @RUNS@
    if (failures != 0) $fatal(1, "FAILED: %0d differences", failures);
    $display("PASSED");
    $finish;
  end
endmodule
