//! A program on one of the two engines: time alone, or time and data.

use systole_machine::program::{Program, Role};
use systole_machine::spec::Machine;
use systole_simulator::contract::{EngineError, Job, Memories, Timing, Trace};
use systole_simulator::{fast, reference};

use crate::problem::{Failure, Problem};
use crate::tensors;

/// Cycles after which the reference engine gives up: never, since programs end or deadlock.
const FUEL_CYCLES: u64 = u64::MAX;

/// Which simulator runs a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// The one that people use.
    #[default]
    Fast,
    /// Every register, every cycle: slow.
    Reference,
}

/// The program as an engine takes it.
pub fn job<'a>(program: &'a Program, machine: &'a Machine) -> Job<'a> {
    Job { machine, instructions: &program.instructions, dram_bytes: program.dram_bytes }
}

/// Time alone.
///
/// # Errors
/// A failure of the host.
pub fn time(program: &Program, machine: &Machine, engine: Engine) -> Result<Timing, Failure> {
    let job = job(program, machine);
    match engine {
        Engine::Fast => job.fits().map(|()| fast::timing(&job)).map_err(|e| engine_failure(&e)),
        Engine::Reference => {
            reference::run(&job, &[], FUEL_CYCLES).map(|(timing, _)| timing).map_err(|e| engine_failure(&e))
        }
    }
}

/// Time and data; `inputs` holds the logical bytes of each input of the tensor table, in its order.
///
/// # Errors
/// A failure of the host.
pub fn run(
    program: &Program,
    machine: &Machine,
    inputs: &[Vec<u8>],
    engine: Engine,
) -> Result<(Timing, Memories), Failure> {
    with_image(program, inputs, |image| {
        let job = job(program, machine);
        match engine {
            Engine::Fast => fast::run(&job, image),
            Engine::Reference => reference::run(&job, image, FUEL_CYCLES),
        }
    })
}

/// As [`time`], with what waves need beside.
///
/// # Errors
/// As [`time`].
pub fn traced_time(program: &Program, machine: &Machine, engine: Engine) -> Result<(Timing, Trace), Failure> {
    let job = job(program, machine);
    match engine {
        Engine::Fast => Ok(fast::traced_timing(&job)),
        Engine::Reference => reference::traced_run(&job, &[], FUEL_CYCLES)
            .map(|(timing, trace, _)| (timing, trace))
            .map_err(|e| engine_failure(&e)),
    }
}

/// As [`run`], with what waves need beside.
///
/// # Errors
/// As [`run`].
pub fn traced_run(
    program: &Program,
    machine: &Machine,
    inputs: &[Vec<u8>],
    engine: Engine,
) -> Result<(Timing, Trace, Memories), Failure> {
    with_image(program, inputs, |image| {
        let job = job(program, machine);
        match engine {
            Engine::Fast => fast::traced_run(&job, image),
            Engine::Reference => reference::traced_run(&job, image, FUEL_CYCLES),
        }
    })
}

/// A run of the reference engine of which `probe` sees the registers of the PEs in each cycle.
///
/// # Errors
/// As [`run`].
pub fn probed_run(
    program: &Program,
    machine: &Machine,
    inputs: &[Vec<u8>],
    probe: &mut dyn FnMut(u64, &[Option<i64>]),
) -> Result<(), Failure> {
    with_image(program, inputs, |image| {
        reference::probed_run(&job(program, machine), image, FUEL_CYCLES, probe).map(drop)
    })
}

/// Runs something on DRAM as it is at first: constants and inputs.
fn with_image<T>(
    program: &Program,
    inputs: &[Vec<u8>],
    run: impl FnOnce(&[(u64, &[u8])]) -> Result<T, EngineError>,
) -> Result<T, Failure> {
    let mut pieces: Vec<(u64, Vec<u8>)> = vec![];
    for (entry, bytes) in program.tensors.iter().filter(|entry| entry.role == Role::Input).zip(inputs) {
        pieces.extend(tensors::scatter(entry, bytes));
    }
    let constants = program.image.iter().map(|segment| (segment.address, segment.bytes.as_slice()));
    let image: Vec<(u64, &[u8])> =
        constants.chain(pieces.iter().map(|(address, bytes)| (*address, bytes.as_slice()))).collect();
    run(&image).map_err(|error| engine_failure(&error))
}

fn engine_failure(error: &EngineError) -> Failure {
    if let EngineError::OutOfMemory { .. } = error {
        return Problem::new(error.to_string()).help("`--timing-only` needs no memory for tensors").into();
    }
    Failure::Program(vec![Problem::new(format!("the simulation failed: {error}"))])
}
