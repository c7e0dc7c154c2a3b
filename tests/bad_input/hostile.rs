//! Small files that claim to be large. Every run here has the memory of `run::systole`, a quarter of what is claimed.

use prost::encoding::encode_varint;
use systole::compiler::frontends::onnx::proto::{StringStringEntryProto, TensorProto, data_type};

use crate::damaged::repair_checksum;
use crate::models::{bytes, i32s, model, node, qdq};
use crate::run::{Folder, refused, refused_with, systole};

/// 2 GiB less one byte.
const CLAIM: u64 = 0x7fff_ffff;

/// Field `number`, length-delimited, `length` bytes, and what follows.
fn field(number: u64, length: u64, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    encode_varint(number << 3 | 2, &mut bytes);
    encode_varint(length, &mut bytes);
    bytes.extend(rest);
    bytes
}

#[test]
fn onnx_lengths() {
    let folder = Folder::new();
    // The graph itself; a node, a name and an initializer in it; an initializer's raw and packed data.
    let inner = |bytes: Vec<u8>| field(7, bytes.len() as u64, &bytes);
    let tensor = |number| inner(field(5, 12, &field(number, CLAIM, &[0; 6])));
    let files = [
        field(7, CLAIM, &[1, 2, 3]),
        field(8, CLAIM, &[]),
        inner(field(1, CLAIM, &[0; 9])),
        inner(field(2, CLAIM, &[])),
        inner(field(5, CLAIM, &[8, 1])),
        tensor(9),
        tensor(1),
        tensor(4),
        field(99, CLAIM, &[0; 40]),
        field(7, u64::MAX, &[0; 40]),
    ];
    for (index, file) in files.iter().enumerate() {
        let path = folder.write("long.onnx", file);
        let stderr = refused(&folder, &["estimate", &path]);
        assert!(stderr.contains("not an ONNX model") && stderr.contains("long.onnx"), "file {index}: {stderr}");
    }
}

#[test]
fn onnx_sizes() {
    let folder = Folder::new();
    let with = |change: &dyn Fn(&mut TensorProto)| {
        let mut tensor = i32s("w", &[1], &[1]);
        tensor.data_type = data_type::FLOAT;
        change(&mut tensor);
        folder.write("large.onnx", bytes(&model(&[1, 4], vec![node("Mul", &["x", "w"], "y", vec![])], vec![tensor])))
    };
    let large = with(&|tensor| tensor.dims = vec![CLAIM as i64]);
    refused_with(&folder, &["estimate", &large], &["initializer `w`", "bytes"]);
    let overflowing = with(&|tensor| tensor.dims = vec![1 << 40, 1 << 40]);
    refused_with(&folder, &["estimate", &overflowing], &["initializer `w`"]);
    // External data that begin beyond their file.
    folder.write("w.bin", [0; 16]);
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    let beyond = with(&|tensor| {
        tensor.raw_data = None;
        tensor.dims = vec![4];
        tensor.data_location = 1;
        tensor.external_data = vec![entry("location", "w.bin".into()), entry("offset", CLAIM.to_string())];
    });
    refused_with(&folder, &["estimate", &beyond], &["initializer `w`", "w.bin"]);
    // An image of 2^31 pixels has no room anywhere.
    let image = bytes(&model(&[1, 1, 46_341, 46_341], vec![node("Relu", &["x"], "y", vec![])], vec![]));
    refused_with(&folder, &["estimate", &folder.write("image.onnx", image)], &["image.onnx"]);
}

#[test]
fn program_lengths() {
    let folder = Folder::new();
    let model = folder.write("small.onnx", bytes(&qdq(0.5)));
    let path = folder.path("small.sysb");
    assert_eq!(systole(&folder, &["compile", &model, "-o", &path]).code, 0);
    let whole = std::fs::read(&path).expect("written");
    let number = |at: usize| u64::from_le_bytes(whole[at..at + 8].try_into().expect("eight bytes")) as usize;
    let section = |index: usize| 16 + 24 * index;
    // In the table the lengths of all sections; in the sections the first length or count of each.
    let lengths = (0..7).map(|index| section(index) + 16);
    let offset = |index: usize| number(section(index) + 8);
    let counts = [offset(1), offset(3) + 8, offset(4), offset(4) + 8, offset(5), offset(5) + 8];
    for at in lengths.chain(counts) {
        for claim in [CLAIM, u64::MAX, 1 << 61] {
            let mut bytes = whole.clone();
            bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
            repair_checksum(&mut bytes);
            let path = folder.write("long.sysb", &bytes);
            let stderr = refused(&folder, &["simulate", &path]);
            assert!(stderr.contains("long.sysb"), "{claim} at byte {at}: {stderr}");
            refused(&folder, &["disasm", &path, "-o", &folder.path("long.s")]);
        }
    }
}

/// Programs that state these sizes of DRAM, one at a time.
fn with_dram(mut check: impl FnMut(&Folder, &str)) {
    let folder = Folder::new();
    let model = folder.write("small.onnx", bytes(&qdq(0.5)));
    let path = folder.path("small.sysb");
    assert_eq!(systole(&folder, &["compile", &model, "-o", &path]).code, 0);
    let whole = std::fs::read(&path).expect("written");
    let image = u64::from_le_bytes(whole[96..104].try_into().expect("eight bytes")) as usize;
    assert_eq!(&whole[88..92], b"IMAG");
    for claim in [CLAIM, 1 << 39, 1 << 63, u64::MAX] {
        let mut bytes = whole.clone();
        bytes[image..image + 8].copy_from_slice(&claim.to_le_bytes());
        repair_checksum(&mut bytes);
        check(&folder, &folder.write("dram.sysb", &bytes));
    }
}

/// Time needs no DRAM, so that its size does not matter.
#[test]
fn program_dram_that_is_only_timed() {
    with_dram(|folder, path| {
        let ended = systole(folder, &["simulate", path, "--timing-only"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    });
}

#[test]
fn program_dram_beyond_memory() {
    with_dram(|folder, path| refused_with(folder, &["simulate", path], &["DRAM"]));
}
