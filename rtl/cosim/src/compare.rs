//! The RTL in lock step with the reference engine: it gets the same starts and the bytes at the addresses that it asks for; everything else it must do itself.

use std::path::Path;

use systole_machine::spec::Machine;
use systole_rtl::{OPERAND_BITS, Parameters, Run, step_cycles, tile_row_cycles};
use systole_simulator::contract::{Accumulators, Job, Memories};
use systole_simulator::reference::{ArrayCycle, Watcher, run_watched};

use super::bits::{get, put};
use super::bridge::Model;
use super::build::{BuildError, library};
use super::registers;

/// What a comparison saw.
#[derive(Clone, Debug, Default)]
pub struct Lockstep {
    /// Cycles compared.
    pub cycles: u64,
    /// Runs that started.
    pub runs: u64,
    /// Sums that left the array.
    pub sums: u64,
    /// Operands that met a row or a column.
    pub operands: u64,
    /// The first difference.
    pub difference: Option<String>,
}

/// Runs a program on the reference engine, and its `ar.run`s on the RTL beside it.
///
/// # Errors
/// There is no model.
pub fn compare(job: &Job, image: &[(u64, &[u8])], fuel_cycles: u64) -> Result<Lockstep, BuildError> {
    let mut bench = Bench::new(job, &library(job.machine)?)?;
    match run_watched(job, image, fuel_cycles, &mut bench) {
        Ok((_, memories)) => bench.compare_accumulators(&memories.accumulator),
        Err(error) => bench.differ(0, || format!("the reference engine: {error}")),
    }
    Ok(bench.seen)
}

/// Places of the ports in `Parameters::all_ports`.
struct Ports(Vec<String>);

impl Ports {
    fn index(&self, name: &str) -> usize {
        self.0.iter().position(|each| each == name).unwrap_or(usize::MAX)
    }
}

struct Bench<'a> {
    machine: &'a Machine,
    runs: Vec<Option<Run>>,
    parameters: Parameters,
    model: Model,
    ports: Ports,
    at: At,
    seen: Lockstep,
}

/// Indices of the ports that are used every cycle.
struct At {
    clk: usize,
    start: usize,
    ready: usize,
    engaged: usize,
    ended: usize,
    activation_address: usize,
    activation_inside: usize,
    activation_wide: usize,
    activation_data: usize,
    weight_request: usize,
    weight_address: usize,
    weight_data: usize,
    edge_rows_valid: usize,
    edge_rows: usize,
    edge_columns_valid: usize,
    edge_columns_row: usize,
    edge_columns: usize,
    leaving_valid: usize,
    leaving_vector: usize,
    leaving_sum: usize,
    leaving_word: usize,
}

impl At {
    fn of(ports: &Ports) -> Self {
        At {
            clk: ports.index("clk"),
            start: ports.index("start"),
            ready: ports.index("ready"),
            engaged: ports.index("engaged"),
            ended: ports.index("ended"),
            activation_address: ports.index("activation_address"),
            activation_inside: ports.index("activation_inside"),
            activation_wide: ports.index("activation_wide"),
            activation_data: ports.index("activation_data"),
            weight_request: ports.index("weight_request"),
            weight_address: ports.index("weight_address"),
            weight_data: ports.index("weight_data"),
            edge_rows_valid: ports.index("edge_rows_valid"),
            edge_rows: ports.index("edge_rows"),
            edge_columns_valid: ports.index("edge_columns_valid"),
            edge_columns_row: ports.index("edge_columns_row"),
            edge_columns: ports.index("edge_columns"),
            leaving_valid: ports.index("leaving_valid"),
            leaving_vector: ports.index("leaving_vector"),
            leaving_sum: ports.index("leaving_sum"),
            leaving_word: ports.index("leaving_word"),
        }
    }
}

impl<'a> Bench<'a> {
    fn new(job: &Job<'a>, path: &Path) -> Result<Self, BuildError> {
        let parameters = Parameters::of(job.machine)?;
        let ports = Ports(parameters.all_ports().into_iter().map(|port| port.1).collect());
        let model = Model::load(path, ports.0.len())?;
        let at = At::of(&ports);
        let runs = registers::runs(job.instructions);
        let mut bench = Bench { machine: job.machine, runs, parameters, model, ports, at, seen: Lockstep::default() };
        bench.set("reset", 1);
        bench.model.evaluate();
        bench.tick();
        bench.set("reset", 0);
        Ok(bench)
    }

    fn set(&mut self, name: &str, value: u64) {
        let port = self.model.port_mut(self.ports.index(name));
        let bytes = value.to_le_bytes();
        let length = port.len().min(bytes.len());
        port[..length].copy_from_slice(&bytes[..length]);
    }

    /// The end of the cycle.
    fn tick(&mut self) {
        self.model.port_mut(self.at.clk)[0] = 1;
        self.model.evaluate();
    }

    fn bit(&self, port: usize, index: usize) -> bool {
        get(self.model.port(port), index, 1) == 1
    }

    /// Notes the first difference.
    fn differ(&mut self, cycle: u64, what: impl FnOnce() -> String) {
        if self.seen.difference.is_none() {
            self.seen.difference = Some(format!("cycle {cycle}: {}", what()));
        }
    }

    fn start(&mut self, run: &Run) {
        for (name, value) in run.ports() {
            self.set(&format!("run_{name}"), value);
        }
        self.set("run_beats", step_cycles(self.machine, run));
        self.set("run_row_cycles", tile_row_cycles(self.machine, run));
        self.seen.runs += 1;
    }

    /// Gives the bytes that the RTL asks for.
    fn feed(&mut self, memories: &Memories) {
        let p = self.parameters;
        let (lanes, products) = (p.lanes() as usize, p.products as usize);
        let lane_bytes = products * p.element_bytes as usize;
        let mut data = vec![0; self.model.port(self.at.activation_data).len()];
        let bytes = if self.bit(self.at.activation_wide, 0) { 2 } else { 1 };
        for lane in 0..lanes {
            let address = get(self.model.port(self.at.activation_address), lane * 32, 32) as usize;
            for d in 0..products {
                if self.bit(self.at.activation_inside, lane * products + d) {
                    for byte in 0..bytes {
                        let from = address.wrapping_add(d * bytes + byte);
                        data[lane * lane_bytes + d * bytes + byte] =
                            memories.activation.get(from).copied().unwrap_or(0xaa);
                    }
                }
            }
        }
        self.model.port_mut(self.at.activation_data).copy_from_slice(&data);
        let mut data = vec![0; self.model.port(self.at.weight_data).len()];
        if self.bit(self.at.weight_request, 0) {
            let address = get(self.model.port(self.at.weight_address), 0, 32) as usize;
            for (offset, byte) in data.iter_mut().take(lanes * products).enumerate() {
                *byte = memories.weight.get(address.wrapping_add(offset)).copied().unwrap_or(0xaa);
            }
        }
        self.model.port_mut(self.at.weight_data).copy_from_slice(&data);
    }

    /// Bits of a port against flags.
    fn compare_flags(&mut self, cycle: u64, name: &str, port: usize, wanted: &[bool]) {
        for (index, wanted) in wanted.iter().enumerate() {
            if self.bit(port, index) != *wanted {
                return self.differ(cycle, || format!("{name}[{index}] is {}, not {wanted}", !wanted));
            }
        }
    }

    /// A port against operands side by side.
    fn compare_operands(&mut self, cycle: u64, name: &str, port: usize, wanted: &[i32]) {
        let bits = OPERAND_BITS as usize;
        let mut packed = vec![0; self.model.port(port).len()];
        for (index, value) in wanted.iter().enumerate() {
            put(&mut packed, index * bits, bits, *value as u64);
        }
        if packed != self.model.port(port) {
            let found: Vec<u64> =
                (0..wanted.len()).map(|index| get(self.model.port(port), index * bits, bits)).collect();
            let wanted: Vec<u64> = wanted.iter().map(|&value| value as u64 & ((1 << bits) - 1)).collect();
            self.differ(cycle, || format!("{name} is {found:x?}, not {wanted:x?}"));
        }
    }

    fn compare_leaving(&mut self, c: &ArrayCycle<'_>) {
        let word_bits = self.parameters.word_bits as usize;
        let sum_bits = self.parameters.sum_bits() as usize;
        for (column, wanted) in c.edges.leaving.iter().enumerate() {
            let valid = self.bit(self.at.leaving_valid, column);
            let Some(wanted) = wanted else {
                if valid {
                    self.differ(c.cycle, || format!("a sum leaves column {column}, and none should"));
                }
                continue;
            };
            self.seen.sums += 1;
            let vector = get(self.model.port(self.at.leaving_vector), column * 32, 32);
            let sum = signed(get(self.model.port(self.at.leaving_sum), column * sum_bits, sum_bits), sum_bits);
            let word = signed(get(self.model.port(self.at.leaving_word), column * word_bits, word_bits), word_bits);
            let found = (valid, vector, sum, word);
            let wanted = (true, wanted.vector as u64, wanted.sum, wanted.word);
            if found != wanted {
                self.differ(c.cycle, || {
                    format!("column {column}: (valid, vector, sum, word) {found:?}, not {wanted:?}")
                });
            }
        }
    }

    /// All words at the end.
    fn compare_accumulators(&mut self, wanted: &Accumulators) {
        let (columns, bits) = (self.parameters.columns as usize, self.parameters.word_bits as usize);
        let words = self.ports.index("read_words");
        for vector in 0..self.parameters.vectors {
            self.set("read_vector", vector);
            self.model.evaluate();
            for column in 0..columns {
                let found = signed(get(self.model.port(words), column * bits, bits), bits);
                let wanted = wanted.get(vector as usize * columns + column);
                if found != wanted {
                    let cycle = self.seen.cycles;
                    self.differ(cycle, || {
                        format!("accumulator[{vector}][{column}] is {found} in the end, not {wanted}")
                    });
                }
            }
        }
    }
}

/// Two's complement of so many bits.
fn signed(value: u64, bits: usize) -> i64 {
    (value << (64 - bits)) as i64 >> (64 - bits)
}

impl Watcher for Bench<'_> {
    fn cycle(&mut self, c: &ArrayCycle<'_>) {
        // Until the first run there is nothing to see.
        if self.seen.difference.is_some() || (self.seen.runs == 0 && c.started.is_none()) {
            return;
        }
        let run = c.started.and_then(|index| self.runs[index]);
        if let Some(run) = &run {
            self.start(run);
        }
        self.model.port_mut(self.at.start)[0] = run.is_some().into();
        self.model.port_mut(self.at.clk)[0] = 0;
        self.model.evaluate();
        self.feed(c.memories);
        self.model.evaluate();
        if run.is_some() && !self.bit(self.at.ready, 0) {
            self.differ(c.cycle, || "a run starts, and the array is not ready".into());
        }
        let at = &self.at;
        let (rows_valid, columns_valid) = (at.edge_rows_valid, at.edge_columns_valid);
        let (rows, columns) = (at.edge_rows, at.edge_columns);
        let (engaged, ended) = (at.engaged, at.ended);
        self.compare_flags(c.cycle, "engaged", engaged, &[c.engaged]);
        self.compare_flags(c.cycle, "ended", ended, &[c.ended]);
        self.compare_flags(c.cycle, "edge_rows_valid", rows_valid, &c.edges.rows_valid);
        self.compare_operands(c.cycle, "edge_rows", rows, &c.edges.rows);
        self.compare_flags(c.cycle, "edge_columns_valid", columns_valid, &c.edges.columns_valid);
        self.compare_operands(c.cycle, "edge_columns", columns, &c.edges.columns);
        for (column, row) in c.edges.columns_row.iter().enumerate() {
            let found = get(self.model.port(self.at.edge_columns_row), column * 16, 16);
            if let Some(row) = row.filter(|&row| row as u64 != found) {
                self.differ(c.cycle, || format!("what reaches column {column} is for row {found}, not {row}"));
            }
        }
        self.compare_leaving(c);
        self.seen.cycles += 1;
        self.seen.operands +=
            c.edges.rows_valid.iter().chain(&c.edges.columns_valid).filter(|valid| **valid).count() as u64;
        self.tick();
    }
}
