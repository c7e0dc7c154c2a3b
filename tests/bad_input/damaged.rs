//! Files cut short and files with a flipped bit, at many places.

use crate::models::{bytes, qdq};
use crate::run::{Folder, systole};

/// Runs of each kind of damage to each kind of file.
const RUNS: usize = 60;

/// Exit codes met, by code.
type Codes = [usize; 4];

/// Runs `check` on cut files and on files with one bit flipped; the codes met, for both.
fn damage(whole: &[u8], mut check: impl FnMut(&[u8]) -> i32) -> [Codes; 2] {
    assert_eq!(check(whole), 0, "the file is fine before it is damaged");
    let mut codes = [[0; 4]; 2];
    for run in 0..RUNS {
        let length = run * whole.len() / RUNS;
        codes[0][check(&whole[..length]) as usize] += 1;
        // Other bits of bytes all over the file.
        let bit = (whole.len() * 8 - 1) * run / (RUNS - 1);
        let mut flipped = whole.to_vec();
        flipped[bit / 8] ^= 1 << (run % 8);
        codes[1][check(&flipped) as usize] += 1;
    }
    codes
}

/// The file that the program makes with these arguments, its path last.
fn made(folder: &Folder, arguments: &[&str], name: &str) -> Vec<u8> {
    let path = folder.path(name);
    let ended = systole(folder, &[arguments, &[&path]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    std::fs::read(&path).expect("written")
}

fn program(folder: &Folder) -> Vec<u8> {
    let model = folder.write("small.onnx", bytes(&qdq(0.5)));
    made(folder, &["compile", &model, "-o"], "small.sysb")
}

/// Runs the program on such a file, `IN` and `OUT` being it and the file to make; what is made is removed again.
fn checked(folder: &Folder, name: &str, bytes: &[u8], arguments: &[&str], made: &str) -> i32 {
    let path = folder.write(name, bytes);
    let made = folder.path(made);
    let arguments: Vec<&str> = arguments
        .iter()
        .map(|&word| {
            if word == "IN" {
                &path
            } else if word == "OUT" {
                &made
            } else {
                word
            }
        })
        .collect();
    let code = systole(folder, &arguments).code;
    if std::fs::metadata(&made).is_ok_and(|made| made.is_file()) {
        std::fs::remove_file(&made).expect("just made");
    }
    code
}

#[test]
fn models() {
    let folder = Folder::new();
    let [cut, flipped] = damage(&bytes(&qdq(0.5)), |bytes| {
        // What can be read must be right, too: code 1 is a mismatch, code 3 a program that does not run.
        let code = checked(&folder, "m.onnx", bytes, &["verify", "IN", "-q"], "unused");
        assert!(matches!(code, 0 | 2), "code {code}");
        code
    });
    assert_eq!(cut, [0, 0, RUNS, 0]);
    assert!(flipped[0] > 0 && flipped[2] > RUNS / 4, "{flipped:?}");
}

#[test]
fn programs() {
    let folder = Folder::new();
    let codes = damage(&program(&folder), |bytes| {
        checked(&folder, "p.sysb", bytes, &["simulate", "IN", "--output", "OUT", "-q"], "p.npz")
    });
    // The checksum finds every cut and every flipped bit.
    assert_eq!(codes, [[0, 0, RUNS, 0]; 2]);
}

#[test]
fn programs_with_a_right_checksum() {
    let folder = Folder::new();
    let whole = program(&folder);
    let [cut, flipped] = damage(&whole, |bytes| {
        let mut bytes = bytes.to_vec();
        repair_checksum(&mut bytes);
        let code = checked(&folder, "p.sysb", &bytes, &["simulate", "IN", "--output", "OUT", "-q"], "p.npz");
        assert_ne!(code, 1);
        code
    });
    assert_eq!(cut, [0, 0, RUNS, 0]);
    assert!(flipped[2] > RUNS / 4, "{flipped:?}");
}

#[test]
fn instructions() {
    // Every instruction word in turn with one bit changed: refused, trapped, deadlocked, or run to its end.
    let folder = Folder::new();
    let whole = program(&folder);
    let code = 16 + 2 * 24;
    let number = |at: usize| u64::from_le_bytes(whole[at..at + 8].try_into().expect("eight bytes")) as usize;
    assert_eq!(&whole[code..code + 4], b"CODE");
    let (offset, length) = (number(code + 8), number(code + 16));
    let mut codes = [0; 4];
    for run in 0..3 * RUNS {
        let bit = run * (length * 8 - 1) / (3 * RUNS - 1);
        let mut bytes = whole.clone();
        bytes[offset + bit / 8] ^= 1 << (bit % 8);
        repair_checksum(&mut bytes);
        let code = checked(&folder, "p.sysb", &bytes, &["simulate", "IN", "--output", "OUT", "-q"], "p.npz");
        codes[code as usize] += 1;
    }
    assert!(codes[0] > 0 && codes[2] > 0 && codes[3] > 0 && codes[1] == 0, "{codes:?}");
}

#[test]
fn assembly() {
    let folder = Folder::new();
    program(&folder);
    let text = made(&folder, &["disasm", &folder.path("small.sysb"), "-o"], "small.s");
    let [cut, flipped] = damage(&text, |bytes| {
        let code = checked(&folder, "p.s", bytes, &["asm", "IN", "-o", "OUT"], "p.sysb");
        assert!(matches!(code, 0 | 2), "code {code}");
        code
    });
    assert!(cut[2] > 0 && flipped[2] > RUNS / 4, "{cut:?} {flipped:?}");
}

#[test]
fn machines() {
    let folder = Folder::new();
    let model = folder.write("small.onnx", bytes(&qdq(0.5)));
    let yaml = std::fs::read("hw-configs/edge-16x16.yaml").expect("a preset");
    let [cut, flipped] = damage(&yaml, |bytes| {
        let code = checked(&folder, "m.yaml", bytes, &["compile", &model, "--hw", "IN", "-o", "OUT"], "p.sysb");
        assert!(matches!(code, 0 | 2), "code {code}");
        code
    });
    // A flipped bit in a comment changes nothing.
    assert!(cut[2] > RUNS / 2 && flipped[0] > 0 && flipped[2] > RUNS / 4, "{cut:?} {flipped:?}");
}

/// Writes the checksum that the bytes before it have; a file too short for one stays as it is.
pub(crate) fn repair_checksum(bytes: &mut [u8]) {
    let Some(end) = bytes.len().checked_sub(4) else { return };
    let sum = crc32(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
}

/// CRC-32 as in docs/container.md, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
