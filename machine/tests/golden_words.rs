//! Instruction words computed by hand from docs/isa.md. Encoder and decoder come from one table, so that a wrong table passes every round
//! trip; it does not pass these. The bytes are those of the file: byte 0 is the opcode, 1 the wait mask, 2 the signal mask, fields from byte 3.

use std::collections::BTreeSet;
use systole_machine::isa::assembler::{assemble, disassemble};
use systole_machine::isa::format::table;

#[rustfmt::skip]
const GOLDEN: &[(&str, [u8; 16])] = &[
    // wait array = 1<<1 = 0x02; signal array and store = 1<<1 | 1<<3 = 0x0a. u24 at bit 24 = bytes 3..6, u16 at 48 = 6..8, u16 at 64 = 8..10.
    ("ld.shape row_bytes=0x030201, rows=0x0504, planes=0x0706 wait(array) signal(array, store)",
     [0x10, 0x02, 0x0a, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0, 0, 0, 0, 0, 0]),
    // u40 at bit 24 = bytes 3..8, u40 at 64 = bytes 8..13.
    ("ld.dram row_pitch=0x0504030201, plane_pitch=0xfffefdfcfb",
     [0x11, 0, 0, 0x01, 0x02, 0x03, 0x04, 0x05, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0, 0, 0]),
    // u40 at 24 = bytes 3..8, u32 at 64 = bytes 8..12, the choice (2 bits; wgt = 1) at 96 = byte 12.
    ("ld.run dram=0x1234567890, buffer=0xdeadbeef, space=wgt",
     [0x13, 0, 0, 0x90, 0x78, 0x56, 0x34, 0x12, 0xef, 0xbe, 0xad, 0xde, 0x01, 0, 0, 0]),
    // u40 at 24 = bytes 3..8, u32 at 64 = bytes 8..12, u24 at 96 = bytes 12..15.
    ("ld.decode dram=0x0504030201, buffer=0x0a090807, bytes=0x0d0c0b wait(array)",
     [0x14, 0x02, 0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0]),
    // Two u12 at 24 and 36: 0x003 | 0xabc << 12 = 0xabc003 = bytes 03 c0 ab. Six u8 at 48..96 = bytes 6..12. Flag at 96 = bit 0 of byte 12.
    ("ar.window kernel_h=3, kernel_w=0xabc, stride_h=2, stride_w=1, dilation_h=4, dilation_w=5, pad_top=6, pad_left=7, packed=true",
     [0x21, 0, 0, 0x03, 0xc0, 0xab, 0x02, 0x01, 0x04, 0x05, 0x06, 0x07, 0x01, 0, 0, 0]),
    // i16 at 24: -2 = 2^16 - 2 = 0xfffe. i16 at 40: 128 = 0x0080. Flags at 56 (0) and 57 (1): byte 7 = 1<<1.
    ("ar.quant zero_activation=-2, zero_weight=128, signed_activation=false, signed_weight=true",
     [0x23, 0, 0, 0xfe, 0xff, 0x80, 0x00, 0x02, 0, 0, 0, 0, 0, 0, 0, 0]),
    // u32 at 24 = bytes 3..7, u32 at 56 = 7..11; from bit 88 (byte 11) up: u22, u12 at +22, flag at +34, the choice is = 2 at +35, u2 at +37:
    // 0x102 + 0x345·2^22 + 2^34 + 2·2^35 + 2^37 = 0x102 + 0xd140_0000 + 0x4_0000_0000 + 0x10_0000_0000 + 0x20_0000_0000 = 0x34_d140_0102.
    ("ar.run activation=0x00010000, weight=0x20, accumulator=0x102, blocks=0x345, accumulate=true, dataflow=is, array=1 wait(load) signal(vector)",
     [0x24, 0x01, 0x04, 0x00, 0x00, 0x01, 0x00, 0x20, 0x00, 0x00, 0x00, 0x02, 0x01, 0x40, 0xd1, 0x34]),
    // Choice out = 2 at 24 (2 bits), u32 at 26, u24 at 58: from bit 24 up 2 + 0x40000001·4 + 3·2^34 = 2 + 0x1_0000_0004 + 0xc_0000_0000
    // = 0xd_0000_0006 = bytes 06 00 00 00 0d.
    ("ve.pitch operand=out, row_pitch=0x40000001, pixel_pitch=3",
     [0x31, 0, 0, 0x06, 0x00, 0x00, 0x00, 0x0d, 0, 0, 0, 0, 0, 0, 0, 0]),
    // Five i16 at 24..104: -1 = 0xffff, 0x0102, -32768 = 0x8000, -128 = 0xff80, 127 = 0x007f. Flags at 104, 105, 106: 1 + 4 = 5 in byte 13.
    ("ve.quant zero_a=-1, zero_b=0x0102, zero_out=-32768, low=-128, high=127, signed_a=true, signed_b=false, signed_out=true",
     [0x32, 0, 0, 0xff, 0xff, 0x02, 0x01, 0x00, 0x80, 0x80, 0xff, 0x7f, 0x00, 0x05, 0, 0]),
    // f32 = sign, exponent + 127, fraction: 1.0 = 127<<23 = 0x3f800000; -0.5 = 1<<31 | 126<<23 = 0xbf000000;
    // 0.15625 = 1.25·2^-3 = 124<<23 | 1<<21 = 0x3e000000 + 0x200000 = 0x3e200000.
    ("ve.scale a=1, b=-0.5, out=0.15625",
     [0x33, 0, 0, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0xbf, 0x00, 0x00, 0x20, 0x3e, 0]),
    // All 104 bits are used: two u12 1 | 2 << 12 = 0x002001 = bytes 01 20 00; six u8 at 48 = bytes 6..12; u16 at 96 and 112.
    ("ve.window kernel_h=1, kernel_w=2, stride_h=3, stride_w=4, pad_top=5, pad_left=6, pad_bottom=7, pad_right=8, in_height=0x0a09, in_width=0xffff",
     [0x34, 0, 0, 0x01, 0x20, 0x00, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0xff, 0xff]),
    // From bit 24 up: u22, u32 at +22, u32 at +54, the choice fixed_double = 2 at +86, flag at +88:
    // bytes 03 02 01|(07 << 6 = c0) = c1; 0x04050607·4 >> 8 = 0x101418 with c1's carry: 81 41 01; 0x08090a0b·2^6 = 0x2_0242_82c0 from byte 9: c0|01, 82, 42, 02, 02; 2·2^6 in byte 13: 82; 01.
    ("ve.requant accumulator=0x010203, params=0x04050607, out=0x08090a0b, mode=fixed_double, transposed=true wait(array) signal(load)",
     [0x38, 0x02, 0x01, 0x03, 0x02, 0xc1, 0x81, 0x41, 0x01, 0xc1, 0x82, 0x42, 0x02, 0x82, 0x01, 0]),
    // Choice b = 1 at 24 (2 bits), i32 at +2, i8 at +34: 1 + 0xffff_fffe·4 + 0xfd·2^34 = 1 + 0x3_ffff_fff8 + 0x3f4_0000_0000 = 0x3f7_ffff_fff9.
    ("ve.fixed operand=b, multiplier=-2, shift=-3",
     [0x36, 0, 0, 0xf9, 0xff, 0xff, 0xff, 0xf7, 0x03, 0, 0, 0, 0, 0, 0, 0]),
    // u32 at 24 and 56, flag at 88 = bit 0 of byte 11.
    ("ve.avgpool a=1, out=2, include_pad=true",
     [0x41, 0, 0, 0x01, 0, 0, 0, 0x02, 0, 0, 0, 0x01, 0, 0, 0, 0]),
    // Choices of 3 bits at 24 (b1 = 4) and of 1 bit at 27, u2 at 28: 4 + 8 + 2·16 = 0x2c.
    ("ar.formats weight=b1, activation=b1, array=2",
     [0x25, 0, 0, 0x2c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    // The choice b1 = 2 at 24.
    ("ve.format out=b1",
     [0x4e, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    // The choice sum = 3 at 24.
    ("ve.format out=sum",
     [0x4e, 0, 0, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    // From bit 24 up: choice columns = 1, u16 at +1, u16 at +17, f32 at +33, f32 at +65, flag at +97: 1 + 3·2 + 5·2^17 = 0xa_0007; 1.0 = 0x3f800000
    // and 2.0 = 0x40000000 (as above), each doubled in a word of 32 bits of its own: 0x7f000000, 0x80000000; 1·2 in the byte behind.
    ("ve.axis axis=columns, first_out=3, first_in=5, factor=1, divisor=2, centred=true",
     [0x60, 0, 0, 0x07, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x7f, 0x00, 0x00, 0x00, 0x80, 0x02]),
    // Masks alone: all eight bits, and bit 7.
    ("st.sync wait(load, array, vector, store, array1, array2, array3, unit7) signal(unit7)",
     [0x5f, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
];

#[test]
fn words_are_those_computed_by_hand() {
    for (text, bytes) in GOLDEN {
        let program = assemble(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
        let instruction = program.instructions[0];
        assert_eq!(instruction.encode().to_le_bytes(), *bytes, "{text}");
        let decoded = systole_machine::isa::Instruction::decode(u128::from_le_bytes(*bytes));
        assert_eq!(decoded, Ok(instruction), "{text}");
        let line = disassemble(&program).lines().last().map(str::to_owned);
        assert_eq!(assemble(&line.unwrap_or_default()).map(|program| program.instructions), Ok(vec![instruction]));
    }
}

#[test]
fn the_words_cover_every_kind_of_field() {
    let golden: BTreeSet<&str> = GOLDEN.iter().filter_map(|(text, _)| text.split(' ').next()).collect();
    let kinds = |only: Option<&BTreeSet<&str>>| -> BTreeSet<String> {
        let rows = table().iter().map(|format| &format.row);
        let chosen = rows.filter(|row| only.is_none_or(|only| only.contains(row.mnemonic)));
        chosen.flat_map(|row| row.fields.iter().map(|field| field.kind.clone())).collect()
    };
    assert_eq!(kinds(Some(&golden)), kinds(None));
}
