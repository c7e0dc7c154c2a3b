//! The program file: what is written is read back, and any other byte string is an error or a program with exactly that encoding.

mod common;

use common::{random, random_program};
use systole_machine::isa::{Instruction, Operation, Unsigned};
use systole_machine::program::check::Flaw;
use systole_machine::program::container::ContainerError;
use systole_machine::program::{LayerEntry, ModelEntry, Program};

/// Makes the last four bytes right again.
fn repair(bytes: &mut [u8]) {
    if let Some((content, checksum)) = bytes.split_last_chunk_mut::<4>() {
        *checksum = crc32fast::hash(content).to_le_bytes();
    }
}

/// Reads, and holds every accepted file to having one encoding.
fn accepted(bytes: &[u8]) -> bool {
    match Program::from_bytes(bytes) {
        Ok(program) => {
            assert!(program.to_bytes() == bytes, "an accepted file is not the encoding of its program");
            true
        }
        Err(_) => false,
    }
}

/// Start of section `index` in the file.
fn section(bytes: &[u8], index: usize) -> usize {
    let at = 16 + 24 * index + 8;
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

fn small_program() -> Program {
    Program {
        machine_yaml: "name: m\n".into(),
        model: ModelEntry { name: "net".into(), macs: 1, parameters: 2, weight_bytes: 3, batch: 4 },
        dram_bytes: 64,
        instructions: vec![Instruction::new(Operation::LoadSync {}), Instruction::new(Operation::StoreSync {})],
        source: vec![0, u32::MAX],
        layers: vec![LayerEntry {
            name: "conv".into(),
            nodes: vec!["conv".into(), "relu".into()],
            op: "Conv".into(),
            macs: 5,
            weight_bits: 7,
            compulsory_bytes: 6,
            mapping: "ws".into(),
        }],
        image: Vec::new(),
        tensors: Vec::new(),
    }
}

#[test]
fn random_programs_round_trip() {
    let mut next = random(1);
    let (mut instructions, mut tensors, mut image) = (0, 0, 0);
    for _ in 0..500 {
        let program = random_program(&mut next);
        let bytes = program.to_bytes();
        let read = Program::from_bytes(&bytes).expect("a program without flaws");
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(read.instructions, program.instructions);
        assert_eq!((&read.machine_yaml, &read.model), (&program.machine_yaml, &program.model));
        assert_eq!((&read.layers, &read.source), (&program.layers, &program.source));
        assert_eq!((&read.image, read.dram_bytes), (&program.image, program.dram_bytes));
        // Through text, for NaN scales are unequal to themselves.
        assert_eq!(format!("{:?}", read.tensors), format!("{:?}", program.tensors));
        instructions += program.instructions.len();
        tensors += program.tensors.len();
        image += program.image.iter().map(|segment| segment.bytes.len()).sum::<usize>();
    }
    assert!(instructions > 3000 && tensors > 500 && image > 10_000, "{instructions} {tensors} {image}");
}

#[test]
fn the_layout_is_the_documented_one() {
    let bytes = small_program().to_bytes();
    // 16 of header and 7 * 24 of table are 184, padded to 192; machine: 32 of hash and 8 of text.
    assert_eq!(&bytes[..16], b"SYSB\x03\0\0\0\x07\0\0\0\0\0\0\0");
    assert_eq!(&bytes[16..40], b"MACH\0\0\0\0\xc0\0\0\0\0\0\0\0\x28\0\0\0\0\0\0\0");
    assert_eq!(&bytes[224..232], b"name: m\n");
    // Model: padded from 232 to 240; 8 + 3 of name and 4 * 8.
    assert_eq!(&bytes[40..64], b"MODL\0\0\0\0\xf0\0\0\0\0\0\0\0\x2b\0\0\0\0\0\0\0");
    assert_eq!(&bytes[240..259], b"\x03\0\0\0\0\0\0\0net\x01\0\0\0\0\0\0\0");
    // Code: 283 padded to 288; opcodes 0x1f and 0x5f.
    assert_eq!((section(&bytes, 2), bytes[288], bytes[304]), (288, 0x1f, 0x5f));
    let content = &bytes[..bytes.len() - 4];
    assert_eq!(bytes[bytes.len() - 4..], crc32fast::hash(content).to_le_bytes());
    assert!(content.len().is_multiple_of(16));
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = random_program(&mut random(7)).to_bytes();
    for length in 0..bytes.len() {
        assert!(Program::from_bytes(&bytes[..length]).is_err(), "cut to {length}");
        let mut repaired = bytes[..length].to_vec();
        repair(&mut repaired);
        assert!(Program::from_bytes(&repaired).is_err(), "cut to {length}, checksum repaired");
    }
    let longer: Vec<u8> = bytes.iter().copied().chain([0; 16]).collect();
    assert!(Program::from_bytes(&longer).is_err());
}

#[test]
fn every_flipped_bit_is_an_error_and_repaired_ones_are_judged() {
    let bytes = random_program(&mut random(3)).to_bytes();
    let (mut fine, mut refused, mut checksum) = (0, 0, 0);
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = Program::from_bytes(&flipped).expect_err("a flipped bit");
        checksum += usize::from(matches!(error, ContainerError::Checksum { .. }));
        repair(&mut flipped);
        if accepted(&flipped) { fine += 1 } else { refused += 1 }
    }
    // All but magic and version are found by the checksum.
    assert_eq!(checksum, 8 * (bytes.len() - 8));
    assert!(fine > 500 && refused > 500, "{fine} accepted, {refused} refused");
}

#[test]
fn random_damage_never_panics() {
    let mut next = random(4);
    let (mut fine, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = random_program(&mut next).to_bytes();
        for _ in 0..1 + next() % 3 {
            let at = (next() % bytes.len() as u64) as usize;
            bytes[at] = [next() as u8, 0, 0xff, 0x7f][(next() % 4) as usize];
        }
        repair(&mut bytes);
        if accepted(&bytes) { fine += 1 } else { refused += 1 }
    }
    assert!(fine > 1000 && refused > 1000, "{fine} accepted, {refused} refused");
}

#[test]
fn huge_lengths_are_refused_before_anything_is_allocated() {
    let bytes = random_program(&mut random(5)).to_bytes();
    let mut refused = 0;
    for at in (0..bytes.len() - 12).step_by(4) {
        for length in [0x8000_0000_u64, u64::MAX, u64::MAX / 16, 1 << 63] {
            let mut huge = bytes.clone();
            huge[at..at + 8].copy_from_slice(&length.to_le_bytes());
            repair(&mut huge);
            refused += usize::from(!accepted(&huge));
        }
    }
    assert!(refused > 500, "{refused}");
    for section_index in [1, 4, 5] {
        let mut huge = bytes.clone();
        let at = section(&bytes, section_index);
        huge[at..at + 8].copy_from_slice(&0x8000_0000_u64.to_le_bytes());
        repair(&mut huge);
        let error = Program::from_bytes(&huge).unwrap_err();
        assert!(matches!(error, ContainerError::Value { at: 0, .. }), "{error}");
    }
}

#[test]
fn errors_say_what_and_where() {
    let bytes = small_program().to_bytes();
    let damaged = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        repair(&mut bytes);
        Program::from_bytes(&bytes).unwrap_err()
    };
    assert_eq!(Program::from_bytes(b""), Err(ContainerError::TooShort { have: 0, need: 196 }));
    assert_eq!(Program::from_bytes(b"ELF!..."), Err(ContainerError::Magic));
    assert_eq!(damaged(0, b'X'), ContainerError::Magic);
    assert_eq!(damaged(4, 1), ContainerError::Version(1));
    assert_eq!(damaged(224, b'N'), ContainerError::MachineHash);
    let code = section(&bytes, 2);
    assert_eq!(damaged(code + 16, 0xff).to_string(), "instruction 1: opcode 0xff is not in the instruction table");
    assert_eq!(damaged(code + 15, 1).to_string(), "instruction 0: ld.sync: a reserved bit is set");
    let source = section(&bytes, 6);
    assert_eq!(damaged(source, 9), ContainerError::Flaw(Flaw::SourceLayer { instruction: 0, layer: 9, layers: 1 }));
}

#[test]
fn flaws_of_a_program_are_refused() {
    let mut short = small_program();
    short.source.pop();
    let error = Program::from_bytes(&short.to_bytes()).unwrap_err();
    assert_eq!(error, ContainerError::Flaw(Flaw::SourceLength { source_entries: 1, instructions: 2 }));

    let mut outside = small_program();
    outside.image.push(systole_machine::program::Segment { address: 60, bytes: vec![1; 5] });
    assert!(Program::from_bytes(&outside.to_bytes()).unwrap_err().to_string().contains("passes the end of DRAM"));
    outside.dram_bytes = 65;
    assert!(Program::from_bytes(&outside.to_bytes()).is_ok());
}

#[test]
fn a_million_instructions_are_read_whole() {
    let run = Operation::StoreRun { dram: Unsigned::new(1).unwrap(), buffer: Unsigned::new(2).unwrap() };
    let mut program = small_program();
    program.instructions = vec![Instruction::new(run); 1_000_000];
    program.source = vec![0; 1_000_000];
    assert!(Program::from_bytes(&program.to_bytes()) == Ok(program));
}
