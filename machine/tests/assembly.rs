//! Text to program and back: identities both ways on random programs, and no panic on damaged text.

mod common;

use common::{random, random_program};
use systole_machine::isa::assembler::{assemble, disassemble};
use systole_machine::program::Program;

fn assembled(text: &str) -> Program {
    assemble(text).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(|error| error.render(text, "test.s")).collect::<String>())
    })
}

#[test]
fn binary_to_text_to_binary_is_the_identity() {
    let mut next = random(11);
    let mut instructions = 0;
    for _ in 0..500 {
        let program = random_program(&mut next);
        let text = disassemble(&program);
        let back = assembled(&text);
        assert_eq!(back.to_bytes(), program.to_bytes(), "{text}");
        assert_eq!(disassemble(&back), text);
        instructions += program.instructions.len();
    }
    assert!(instructions > 3000, "{instructions}");
}

#[test]
fn comments_blanks_and_line_ends_mean_nothing() {
    let mut next = random(12);
    for _ in 0..100 {
        let program = random_program(&mut next);
        let text = disassemble(&program);
        // Blanks after a line of YAML belong to it.
        let spaced: String = text
            .lines()
            .map(|line| if line.starts_with('|') { format!("\t {line}\r\n") } else { format!("\t {line} \t\r\n") })
            .collect();
        let commented: String = text
            .lines()
            .map(|line| if line.starts_with('|') { format!("{line}\n") } else { format!("{line} ; \"x\n ; y\n") })
            .collect();
        assert!(assembled(&spaced).to_bytes() == program.to_bytes(), "{spaced}");
        assert!(assembled(&commented).to_bytes() == program.to_bytes(), "{commented}");
    }
}

#[test]
fn numbers_are_decimal_or_hexadecimal() {
    let decimal =
        assembled("ar.quant zero_activation=-128, zero_weight=127, signed_activation=true, signed_weight=false");
    let hexadecimal =
        assembled("ar.quant zero_activation=-0x80, zero_weight=0x7F, signed_activation=true, signed_weight=false");
    assert_eq!(decimal, hexadecimal);
    let bits = assembled("ve.scale a=f32:0x7fc00001, b=1, out=-1.5e-3");
    assert_eq!(
        bits.instructions[0].operation.field_bits(),
        [0x7fc0_0001, 0x3f80_0000, u64::from((-1.5e-3f32).to_bits())]
    );
}

#[test]
fn every_f32_comes_back_bit_for_bit() {
    let mut next = random(13);
    let edges = [0, 1, 0x8000_0000, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffff_ffff, 0x0080_0000];
    let all = edges.into_iter().chain((0..20_000).map(|_| next() as u32)).collect::<Vec<_>>();
    for chunk in all.chunks(3).filter(|chunk| chunk.len() == 3) {
        let bits: Vec<u64> = chunk.iter().copied().map(u64::from).collect();
        let operation = systole_machine::isa::Operation::from_field_bits(0x33, &bits).unwrap();
        let mut program = assembled("");
        program.instructions.push(systole_machine::isa::Instruction::new(operation));
        program.source.push(u32::MAX);
        assert_eq!(assembled(&disassemble(&program)).instructions, program.instructions);
    }
}

#[test]
fn token_masks_name_all_eight_units() {
    let program = assembled("ld.sync wait(array, unit7) signal(store,array1)");
    assert_eq!((program.instructions[0].wait.0, program.instructions[0].signal.0), (0b1000_0010, 0b0001_1000));
}

#[test]
fn the_example_of_the_documentation_assembles() {
    let page = include_str!("../../docs/assembly.md");
    let example = page.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let program = assembled(example);
    assert_eq!(program.instructions.len(), 3);
    assert_eq!(program.source, [0, 0, 0]);
    assert_eq!(program.machine_yaml, "name: tiny\nclocks: { core: 500 MHz }");
    assert!(Program::from_bytes(&program.to_bytes()) == Ok(program));
}

#[test]
fn an_empty_text_is_an_empty_program() {
    let program = assembled("");
    assert!(program.instructions.is_empty() && program.machine_yaml.is_empty() && program.dram_bytes == 0);
}

/// A damaged text gives a program that round-trips, or errors that all render with a caret inside the text.
fn judge(text: &str) -> bool {
    match assemble(text) {
        Ok(program) => {
            assert_eq!(assembled(&disassemble(&program)).to_bytes(), program.to_bytes());
            true
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.is_sorted_by_key(|error| error.span.start));
            for error in &errors {
                assert!(error.line >= 1 && error.column >= 1 && error.span.end <= text.len());
                assert!(text.get(error.span.clone()).is_some(), "{error} is not on character boundaries");
                let shown = error.render(text, "a.s");
                assert!(shown.starts_with("error: ") && shown.contains('^'), "{shown}");
                assert!(shown.contains(&format!("a.s:{}:{}", error.line, error.column)), "{error}\n{shown}");
            }
            false
        }
    }
}

#[test]
fn damaged_text_never_panics() {
    let mut next = random(14);
    let (mut fine, mut refused) = (0, 0);
    for _ in 0..3000 {
        let mut text: Vec<char> = disassemble(&random_program(&mut next)).chars().collect();
        for _ in 0..1 + next() % 3 {
            let at = (next() % text.len() as u64) as usize;
            match next() % 4 {
                0 => text[at] = char::from_u32((next() % 0x250) as u32).unwrap_or('x'),
                1 => drop(text.remove(at)),
                2 => text.insert(at, ['"', '|', '.', '\n', '9', '字', '\\', '='][(next() % 8) as usize]),
                _ => text.truncate(at + 1),
            }
        }
        if judge(&text.into_iter().collect::<String>()) { fine += 1 } else { refused += 1 }
    }
    assert!(fine > 100 && refused > 1000, "{fine} accepted, {refused} refused");
}

#[test]
fn hostile_text_never_panics() {
    let mut next = random(15);
    let letters: Vec<char> = "ld.run=,()[]\"\\|;\n \t\r0x9-e:{}u字\u{0}\u{1b}".chars().collect();
    for _ in 0..5000 {
        let text: String = (0..next() % 60).map(|_| letters[(next() % letters.len() as u64) as usize]).collect();
        judge(&text);
    }
    judge(&"(".repeat(100_000));
    judge(&"[".repeat(100_000));
    judge(&format!("ld.run dram={}", "9".repeat(100_000)));
    judge(&format!(".bytes {}", "f".repeat(99_999)));
    judge(&format!("{}\u{301}", "é".repeat(1000)));
}
