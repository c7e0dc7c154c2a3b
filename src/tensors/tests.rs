//! Arrays in files, and the way between logical order and places in DRAM, by hand.

use super::*;
use systole_machine::program::{Layout, Role};

fn entry(dims: [u64; 4], pixel_pitch: u64) -> TensorEntry {
    TensorEntry {
        name: "x".into(),
        shape: dims.to_vec(),
        dims,
        element: ElementType::U8,
        role: Role::Input,
        layout: Layout::Nhwc,
        address: 3,
        pixel_pitch,
        row_pitch: dims[3] * pixel_pitch,
        image_pitch: dims[2] * dims[3] * pixel_pitch,
        scale: 0.5,
        zero_point: 10,
        float_name: None,
    }
}

#[test]
fn logical_and_physical_order_are_inverse_and_channels_come_last() {
    for pitch in [2, 5] {
        let entry = entry([2, 2, 3, 4], pitch);
        let logical: Vec<u8> = (0..48).collect();
        let mut dram = vec![0xee; 3 + 24 * pitch as usize];
        for (address, bytes) in scatter(&entry, &logical) {
            dram[address as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(gather(&entry, &dram).expect("inside"), logical);
        // Image 1, channel 1, row 2, column 3: the last logical element is the last byte of the last pixel.
        assert_eq!(dram[3 + 23 * pitch as usize + 1], 47);
        // Row 0, column 1 of image 0: channel 0 is element 1, channel 1 element 13.
        assert_eq!(dram[3 + pitch as usize..][..2], [1, 13]);
    }
    assert_eq!(gather(&entry([2, 2, 3, 4], 2), &[0; 50]), None);
}

#[test]
fn a_box_inside_a_larger_tensor_leaves_what_lies_between() {
    // 2 × 2 pixels of one byte, every second column of rows of 5, in images of 3 rows.
    let entry = TensorEntry { row_pitch: 5, image_pitch: 15, ..entry([2, 1, 2, 2], 2) };
    let pieces = scatter(&entry, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let places: Vec<u64> = pieces.iter().map(|(address, _)| *address).collect();
    assert_eq!(places, [3, 5, 8, 10, 18, 20, 23, 25]);
    let mut dram = vec![0xee; 26];
    pieces.iter().for_each(|(address, bytes)| dram[*address as usize] = bytes[0]);
    assert_eq!(dram.iter().filter(|&&byte| byte == 0xee).count(), 18);
    assert_eq!(gather(&entry, &dram), Some(vec![1, 2, 3, 4, 5, 6, 7, 8]));
}

#[test]
fn wide_elements_keep_their_two_bytes_together() {
    let mut entry = entry([1, 2, 1, 3], 4);
    entry.element = ElementType::I16;
    let port = Port { zero_point: 0, ..Port::from(&entry) };
    let logical = port.quantise(&[0.5, 1.0, 1.5, -0.5, 200.0, -1e9]);
    assert_eq!(logical, [1, 0, 2, 0, 3, 0, 255, 255, 144, 1, 0, 128]);
    let pieces = scatter(&entry, &logical);
    assert_eq!(pieces, [(3, vec![1, 0, 255, 255, 2, 0, 144, 1, 3, 0, 0, 128])]);
    let dram = [vec![0; 3], pieces[0].1.clone()].concat();
    assert_eq!(gather(&entry, &dram), Some(logical.clone()));
    assert_eq!(port.dequantise(&logical), [0.5, 1.0, 1.5, -0.5, 200.0, -16384.0]);
    assert_eq!(value(logical, ElementType::I16), Value::I16(vec![1, 2, 3, -1, 400, -32768]));
    let sums = [i32::MIN, -1, 70_000].map(i32::to_le_bytes).concat();
    assert!(integers(&sums, ElementType::I32).eq([i32::MIN, -1, 70_000]));
    assert_eq!(value(sums, ElementType::I32), Value::I32(vec![i32::MIN, -1, 70_000]));
}

#[test]
fn quantisation_rounds_to_even_and_saturates() {
    let q = |x| quantise(x, 0.5, 10, ElementType::U8);
    assert_eq!([0.25, 0.75, -0.25, 1.0].map(q), [10, 12, 10, 12]);
    assert_eq!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30].map(q), [10, 255, 0, 255]);
    assert_eq!(quantise(-1000.0, 0.5, 0, ElementType::I8), -128);
    assert_eq!(Port::from(&entry([1; 4], 1)).dequantise(&[10, 13]), [0.0, 1.5]);
}

#[test]
fn files_give_back_what_was_written_and_bytes_depend_on_the_arrays_alone() {
    let folder = tempfile::tempdir().expect("a directory");
    let array = |shape: &[u64], value| Array { shape: shape.to_vec(), value };
    let arrays = BTreeMap::from([
        ("a/b".to_owned(), array(&[1, 3], Value::F32(vec![1.5, -2.0, 0.0]))),
        ("q".to_owned(), array(&[2, 2], Value::I8(vec![-1, 2, 3, -128]))),
    ]);
    let path = folder.path().join("t.npz");
    write(&path, &arrays).expect("writable");
    assert_eq!(read(&path).expect("readable"), arrays);
    let first = std::fs::read(&path).expect("there");
    write(&path, &arrays).expect("writable");
    assert_eq!(std::fs::read(&path).expect("there"), first);
    assert!(write(&folder.path().join("t.npy"), &arrays).is_err());
    std::fs::write(&path, &first[..first.len() / 2]).expect("writable");
    assert!(read(&path).is_err());
}

#[test]
fn column_major_arrays_are_turned() {
    // [[1, 2, 3], [4, 5, 6]] by columns.
    assert_eq!(row_major(&[2, 3], vec![1, 4, 2, 5, 3, 6]), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn every_type_of_elements_survives_a_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("t.npz");
    let values = [
        Value::I16(vec![-2, 3]),
        Value::U16(vec![1, 65535]),
        Value::I32(vec![-2, 3]),
        Value::U32(vec![1, u32::MAX]),
        Value::I64(vec![i64::MIN, 3]),
        Value::U64(vec![1, u64::MAX]),
        Value::Bool(vec![true, false]),
    ];
    let named = values.into_iter().map(|value| (value.dtype().name().to_owned(), Array { shape: vec![2], value }));
    let arrays: BTreeMap<String, Array> = named.collect();
    write(&path, &arrays).expect("writable");
    assert_eq!(read(&path).expect("readable"), arrays);
}

#[test]
fn an_array_of_bytes_is_taken_for_elements_under_a_byte_where_it_fits() {
    let array =
        |value| Inputs { arrays: [("x".to_owned(), Array { shape: vec![2], value })].into(), place: "t.npz".into() };
    let typed = |value, dtype| array(value).typed("x", &[2], dtype).ok().flatten();
    assert_eq!(typed(Value::I8(vec![-8, 7]), DType::I4), Some(Value::I8(vec![-8, 7])));
    assert_eq!(typed(Value::I8(vec![-8, 8]), DType::I4), None);
    assert_eq!(typed(Value::U8(vec![0, 4]), DType::U2), None);
    assert_eq!(typed(Value::U8(vec![0, 3]), DType::U2), Some(Value::U8(vec![0, 3])));
    assert_eq!(typed(Value::U8(vec![0, 3]), DType::I4), None);
}
