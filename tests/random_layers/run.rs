//! One case: compile, run golden and both engines, compare.

/// Bytes of a tensor in the program's DRAM, in logical order.
fn read(dram: &[u8], entry: &TensorEntry) -> Vec<u8> {
    let [n, c, h, w] = entry.dims;
    let mut bytes = vec![];
    for image in 0..n {
        for channel in 0..c {
            for pixel in 0..h * w {
                bytes.push(dram[(entry.address + (image * h * w + pixel) * entry.pixel_pitch + channel) as usize]);
            }
        }
    }
    bytes
}

fn segments<'a>(program: &'a Program, input: &'a [u8]) -> Vec<(u64, &'a [u8])> {
    let entry = program.tensors.iter().find(|entry| entry.name == "input").expect("the input is in the table");
    let mut segments: Vec<(u64, &[u8])> = program.image.iter().map(|s| (s.address, s.bytes.as_slice())).collect();
    segments.push((entry.address, input));
    segments
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::U8(values) => values.clone(),
        Value::I8(values) => values.iter().map(|&v| v as u8).collect(),
        other => panic!("an activation of type {other:?}"),
    }
}

enum Verdict {
    Ran,
    TooSmall,
}

fn run_case(seed: u64) -> Result<(Verdict, Vec<&'static str>), String> {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let machine = machine(&mut dice);
    let mut network = network(dice);
    let graph = network.graph.clone();
    let boundary = |id: &TensorId| Boundary { float_name: graph.tensor(*id).name.clone(), tensor: *id };
    let quantised = Quantised {
        inputs: graph.inputs.iter().map(boundary).collect(),
        outputs: graph.outputs.iter().map(boundary).collect(),
        graph: graph.clone(),
    };
    systole_network::verify::verify(&graph).map_err(|errors| format!("the test made a bad graph: {errors:?}"))?;
    let header = Header { machine_yaml: String::new(), model: ModelEntry::default() };
    let compiled = match compile(&quantised, &machine, header, Constants::Real) {
        Ok(compiled) => compiled,
        Err(errors)
            if errors.iter().all(|e| e.kind == ErrorKind::Unsupported && e.message.contains("smallest tile")) =>
        {
            return Ok((Verdict::TooSmall, vec![]));
        }
        Err(errors) => return Err(format!("compile: {errors:?}")),
    };
    let input = graph.tensor(graph.inputs[0]);
    let raw = network.dice.bytes(input.elements());
    let value = match input.dtype {
        DType::I8 => Value::I8(raw.iter().map(|&b| b as i8).collect()),
        _ => Value::U8(raw.clone()),
    };
    let values = BTreeMap::from([(graph.inputs[0], value)]);
    let options = systole_golden::Options { seed: 0, keep: systole_golden::Keep::All };
    let golden = systole_golden::run(&graph, &values, options).map_err(|error| format!("golden: {error}"))?;
    let program = &compiled.program;
    let [n, c, h, w] = input.nchw().expect("rank 4");
    let mut nhwc = vec![0; raw.len()];
    for image in 0..n {
        for channel in 0..c {
            for pixel in 0..h * w {
                nhwc[(image * h * w + pixel) * c + channel] = raw[(image * c + channel) * h * w + pixel];
            }
        }
    }
    let image = segments(program, &nhwc);
    let job = Job { machine: &machine, instructions: &program.instructions, dram_bytes: program.dram_bytes };
    let fast = systole_simulator::fast::run(&job, &image).map_err(|error| error.to_string())?;
    if fast.0.outcome != Outcome::Halted {
        return Err(format!("fast: {:?}", fast.0.outcome));
    }
    for entry in &program.tensors {
        let id = graph.tensors.iter().position(|t| t.name == entry.name).expect("a tensor of the graph");
        let Some(expected) = golden.tensors.get(&TensorId(id as u32)) else { continue };
        let (expected, got) = (bytes_of(expected), read(&fast.1.dram, entry));
        if let Some(index) = (0..expected.len()).find(|&i| expected[i] != got[i]) {
            return Err(format!(
                "tensor {} differs at {index}: golden {}, fast {}",
                entry.name, expected[index], got[index]
            ));
        }
    }
    compare_reference(&job, &image, &fast)?;
    let mapping = compiled.program.layers.iter().map(|layer| layer.mapping.as_str());
    for text in mapping {
        for (word, hit) in
            [("packed", "packed taps"), ("streamed", "streamed weights"), ("sliced", "sliced input channels")]
        {
            if text.contains(word) {
                network.hits.push(hit);
            }
        }
    }
    network.hits.push(if machine.array.weight_registers == 1 { "one weight register" } else { "two weight registers" });
    Ok((Verdict::Ran, network.hits))
}

/// The reference engine steps every cycle: programs that would keep it busy for long are left to the fast engine.
fn compare_reference(job: &Job<'_>, image: &[(u64, &[u8])], fast: &(Timing, Memories)) -> Result<(), String> {
    let work = fast.0.total_cycles * u64::from(job.machine.array.rows) * u64::from(job.machine.array.columns);
    if work > 200_000_000 {
        return Ok(());
    }
    let reference = systole_simulator::reference::run(job, image, u64::MAX).map_err(|error| error.to_string())?;
    if reference.1.dram != fast.1.dram {
        return Err("the reference engine left other bytes in DRAM than the fast engine".into());
    }
    if reference.0 != fast.0 {
        return Err(format!(
            "timing differs: reference {} cycles {:?}, fast {} cycles {:?}",
            reference.0.total_cycles, reference.0.units, fast.0.total_cycles, fast.0.units
        ));
    }
    Ok(())
}
