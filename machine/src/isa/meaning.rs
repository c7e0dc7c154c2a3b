//! What each field of an instruction means, in a line: the words of `docs/isa.md`. What instructions do with them is `docs/machine.md`.
//!
//! A test holds this list against the instruction table, both ways.

/// Field and meaning, of every instruction that has the field under this name; a prefix `mnemonic/` narrows it to one.
const MEANINGS: &[(&str, &str)] = &[
    ("row_bytes", "bytes of a row"),
    ("rows", "rows of a plane"),
    ("planes", "planes"),
    ("row_pitch", "bytes from the first of a row to the first of the next"),
    ("plane_pitch", "bytes from the first of a plane to the first of the next"),
    ("pixel_pitch", "bytes from the first of a pixel to the first of the next"),
    ("dram", "address in DRAM of the first byte"),
    ("buffer", "address of the first byte in the buffer that `space` names"),
    ("st.run/buffer", "address of the first byte in the activation buffer"),
    ("space", "the buffer that is written: activations or weights"),
    ("ar.input/height", "rows of the input tile"),
    ("ar.input/width", "columns of the input tile"),
    ("height", "rows of the output"),
    ("width", "columns of the output"),
    ("in_height", "rows of the input tile"),
    ("in_width", "columns of the input tile"),
    ("channels", "channels of the output"),
    ("ar.output/channels", "channels of a tap"),
    ("outputs", "output channels of a block, input-stationary"),
    ("block_channels", "output channels in one block of accumulators"),
    ("block_step", "bytes that the input address moves from one block to the next"),
    ("blocks", "blocks that run one after the other"),
    ("kernel_h", "rows of the window"),
    ("kernel_w", "columns of the window"),
    ("stride_h", "input rows from one output row to the next"),
    ("stride_w", "input columns from one output column to the next"),
    ("dilation_h", "input rows from one kernel row to the next"),
    ("dilation_w", "input columns from one kernel column to the next"),
    ("pad_top", "rows of padding above the input tile"),
    ("pad_left", "columns of padding left of it"),
    ("pad_bottom", "rows of padding below it"),
    ("pad_right", "columns of padding right of it"),
    ("packed", "one run per kernel row covers all its taps"),
    ("zero_activation", "subtracted from each activation"),
    ("zero_weight", "subtracted from each weight"),
    ("signed_activation", "activations are signed bytes"),
    ("signed_weight", "weights are signed bytes"),
    ("activation", "address in the activation buffer of the input tile's first byte"),
    ("weight", "address in the weight buffer of the first fold's first byte"),
    ("accumulator", "first accumulator vector"),
    ("accumulate", "the first fold adds to the accumulators instead of starting from 0"),
    ("dataflow", "the operand that stays in the PEs"),
    ("array", "the array, 0 to 3"),
    ("wide_activation", "activations have two bytes"),
    ("ve.pitch/operand", "the operand that the pitches are for"),
    ("ve.fixed/operand", "the operand that multiplier and shift are for"),
    ("multiplier", "M of N-17"),
    ("shift", "s of N-17"),
    ("transposed", "accumulator vectors hold pixels of one channel (an input-stationary array's results)"),
    ("wide_a", "operand a has elements of two bytes"),
    ("wide_b", "operand b has elements of two bytes"),
    ("wide_out", "the output has elements of two bytes"),
    ("zero_a", "zero point of operand a"),
    ("zero_b", "zero point of operand b"),
    ("zero_out", "zero point of the output"),
    ("low", "smallest output"),
    ("high", "largest output"),
    ("signed_a", "operand a has signed bytes"),
    ("signed_b", "operand b has signed bytes"),
    ("signed_out", "the output has signed bytes"),
    ("ve.scale/a", "scale of operand a"),
    ("ve.scale/b", "scale of operand b"),
    ("ve.scale/out", "scale of the output"),
    ("a", "address of operand a in the activation buffer"),
    ("b", "address of operand b in the activation buffer"),
    ("out", "address of the output in the activation buffer"),
    ("params", "address in the activation buffer of the parameters, a record a channel (M-7)"),
    ("mode", "the rules that scale: single precision or one of N-17"),
    ("include_pad", "padding counts as elements of the average"),
    ("size", "channels of a window"),
    ("alpha", "α: weight of the sum of squares, before it is divided by `size`"),
    ("beta", "β: exponent"),
    ("bias", "k: summand beside the sum of squares"),
    ("ve.sum/a", "address in the activation buffer of the first tensor; the others follow, `height` rows each"),
    ("ve.sum/params", "address in the activation buffer of the parameters, 8 bytes a tensor"),
    ("operands", "tensors that are added"),
    ("ar.formats/weight", "how weights are stored"),
    ("ar.formats/activation", "how activations are stored"),
    ("ve.format/out", "what is stored: the result, its sign, its sign as a bit, or the sum as it is"),
    ("subtract", "the second operand is subtracted"),
    ("ve.table/params", "address in the activation buffer of the table, 256 bytes, or of the first channel's"),
    ("ve.table/per_channel", "each channel has a table of its own, one behind the other"),
    ("per_channel", "operand b is a constant a channel: `b` is the address of records as `ve.addc` has them"),
    ("bytes", "bytes of the stream"),
    ("ld.decode/dram", "address in DRAM of the stream's first byte"),
    ("ld.decode/buffer", "address in the weight buffer of the first decoded byte"),
    ("origin_y", "row of the image where the first window of `ve.gather` begins"),
    ("origin_x", "column of the image where the first window of `ve.gather` begins"),
    ("axis", "the axis that the other fields are for"),
    ("first_out", "row or column of the whole result where the output begins"),
    ("first_in", "row or column of the whole image where the input tile begins"),
    ("factor", "by which the index of an output is multiplied"),
    ("divisor", "by which it is then divided"),
    ("centred", "centres of pixels correspond, not their first corners"),
];

/// The meaning of a field, the narrower entry before the wider one; `None` for one without.
pub(super) fn meaning(mnemonic: &str, field: &str) -> Option<&'static str> {
    let find = |key: &str| MEANINGS.iter().find(|entry| entry.0 == key).map(|entry| entry.1);
    find(&format!("{mnemonic}/{field}")).or_else(|| find(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::table::rows;
    use std::collections::BTreeSet;

    #[test]
    fn every_field_has_a_meaning_and_every_meaning_a_field() {
        let mut used = BTreeSet::new();
        for row in rows() {
            for field in &row.fields {
                let narrow = format!("{}/{}", row.mnemonic, field.name);
                let narrow_exists = MEANINGS.iter().any(|entry| entry.0 == narrow);
                assert!(meaning(row.mnemonic, field.name).is_some(), "meaning.rs says nothing of {narrow}");
                used.insert(if narrow_exists { narrow } else { field.name.to_owned() });
            }
        }
        let stated: BTreeSet<String> = MEANINGS.iter().map(|entry| entry.0.to_owned()).collect();
        assert_eq!(stated.len(), MEANINGS.len(), "an entry stands twice");
        assert_eq!(stated.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "entries without a field");
    }
}
