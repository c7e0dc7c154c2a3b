//! How long the stages take on this computer: import, compile, timing, data. `cargo bench`; a name after it selects.
//!
//! Nothing here judges: that results are right and cycles unchanged is the business of the tests. Of data the ratio to golden is printed too,
//! since it depends less on the computer than seconds do.

mod workloads;

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use systole::compiler::compile::Constants;
use systole::compiler::frontends::onnx::{ImportOptions, import_bytes};
use systole::golden::{self, Keep, Options};
use systole::machine::spec::Machine;
use systole::network::zoo;
use systole::pipeline::job;
use systole::simulator::fast;

use workloads::{LAYER_MACS, Layer, NETWORK};

fn import(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("import");
    group.bench_function("zoo", |bencher| bencher.iter(|| zoo::build(black_box(NETWORK))));
    let file = Bytes::from(workloads::onnx());
    let options = ImportOptions::default();
    group.bench_function("onnx", |bencher| {
        bencher.iter(|| import_bytes(file.clone(), None, NETWORK, &options).expect("a valid file"));
    });
    group.finish();
}

fn compile(criterion: &mut Criterion) {
    let (graph, machine) = (workloads::network(), workloads::machine());
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    group.bench_function("passes", |bencher| bencher.iter(|| workloads::quantised(&graph)));
    let quantised = workloads::quantised(&graph);
    group.bench_function("structure", |bencher| {
        bencher.iter(|| workloads::compiled(&quantised, &machine, Constants::None));
    });
    group.finish();
}

fn timing(criterion: &mut Criterion) {
    let machine = workloads::machine();
    let compiled = workloads::compiled(&workloads::quantised(&workloads::network()), &machine, Constants::None);
    let mut group = criterion.benchmark_group("timing");
    group.sample_size(10);
    group.throughput(Throughput::Elements(compiled.program.instructions.len() as u64));
    group.bench_function("fast", |bencher| bencher.iter(|| fast::timing(&job(&compiled.program, &machine))));
    group.finish();
}

fn run_fast(layer: &Layer, machine: &Machine) {
    let constants = layer.compiled.program.image.iter().map(|segment| (segment.address, segment.bytes.as_slice()));
    let inputs = layer.pieces.iter().map(|(address, bytes)| (*address, bytes.as_slice()));
    let image: Vec<(u64, &[u8])> = constants.chain(inputs).collect();
    black_box(fast::run(&job(&layer.compiled.program, machine), &image).expect("it runs"));
}

fn run_golden(layer: &Layer) {
    let options = Options { seed: 0, keep: Keep::Outputs };
    black_box(golden::run(&layer.graph, &layer.input, options).expect("it runs"));
}

/// The shortest of a few runs: what disturbs only lengthens.
fn shortest(mut work: impl FnMut()) -> Duration {
    let times = (0..5).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

fn data(criterion: &mut Criterion) {
    let machine = workloads::machine();
    let layer = workloads::layer(&machine);
    let mut group = criterion.benchmark_group("data");
    group.sample_size(10);
    group.throughput(Throughput::Elements(LAYER_MACS));
    group.bench_function("fast", |bencher| bencher.iter(|| run_fast(&layer, &machine)));
    group.bench_function("golden", |bencher| bencher.iter(|| run_golden(&layer)));
    group.finish();
    let [fast, golden] = [shortest(|| run_fast(&layer, &machine)), shortest(|| run_golden(&layer))];
    println!(
        "data: fast takes {fast:?}, golden {golden:?}: a ratio of {:.2}",
        golden.as_secs_f64() / fast.as_secs_f64()
    );
}

criterion_group!(stages, import, compile, timing, data);
criterion_main!(stages);
