//! Weights of transposed convolutions in the order of the quantised form (N-22): by output channel, as those of every other layer.

use systole_network::tensor::Quant;

/// `[m, c / groups, kh, kw]` of a file's `[c, m / groups, kh, kw]`; `None` where that is no such shape.
pub(super) fn shape(shape: &[usize], groups: usize) -> Option<[usize; 4]> {
    let &[c, per_group, kh, kw] = shape else { return None };
    (groups > 0 && c.is_multiple_of(groups)).then_some([per_group * groups, c / groups, kh, kw])
}

/// The output channel of element `index` of a file's weights.
pub(super) fn output_channel(shape: &[usize], groups: usize, index: usize) -> usize {
    let Some([m, inputs, kh, kw]) = self::shape(shape, groups) else { return 0 };
    let (per_group, pair) = (m / groups, index / (kh * kw));
    pair / per_group / inputs * per_group + pair % per_group
}

/// Elements of a file in the order of the quantised form.
pub(super) fn by_output<T: Copy>(values: &[T], shape: &[usize], groups: usize) -> Vec<T> {
    let Some([m, inputs, kh, kw]) = self::shape(shape, groups) else { return values.to_vec() };
    let (per_group, taps) = (m / groups, kh * kw);
    let mut ordered = Vec::with_capacity(values.len());
    for (output, input) in (0..m).flat_map(|output| (0..inputs).map(move |input| (output, input))) {
        let pair = (output / per_group * inputs + input) * per_group + output % per_group;
        ordered.extend_from_slice(&values[pair * taps..][..taps]);
    }
    ordered
}

/// A file's scales as those of output channels, where they are that: one for all, one for each output channel of a group, or one for each input channel of a
/// depthwise layer, which has one output.
pub(super) fn quant(quant: &Quant, shape: &[usize], groups: usize) -> Option<Quant> {
    let [m, inputs, ..] = self::shape(shape, groups)?;
    let per_group = m / groups;
    let source = |channel: usize| match quant.axis {
        Some(1) => Some(channel % per_group),
        Some(0) if inputs == 1 && per_group == 1 => Some(channel),
        Some(0) if inputs == 1 => Some(channel / per_group),
        _ => None,
    };
    if quant.axis.is_none() || quant.scale.len() == 1 {
        return Some(Quant { axis: None, ..quant.clone() });
    }
    let channels = (0..m).map(source).collect::<Option<Vec<_>>>()?;
    Some(Quant {
        scale: channels.iter().map(|&c| quant.scale_of(c)).collect(),
        zero_point: channels.iter().map(|&c| quant.zero_point_of(c)).collect(),
        axis: Some(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two groups of two inputs and three outputs, one tap.
    const FILE: [usize; 4] = [4, 3, 1, 1];

    #[test]
    fn elements_go_to_their_output_channels() {
        let values: Vec<usize> = (0..12).collect();
        let ordered = by_output(&values, &FILE, 2);
        assert_eq!(ordered, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
        for (place, &index) in ordered.iter().enumerate() {
            assert_eq!(output_channel(&FILE, 2, index), place / 2);
        }
        assert_eq!(shape(&FILE, 2), Some([6, 2, 1, 1]));
        assert_eq!(shape(&FILE, 3), None);
    }

    #[test]
    fn scales_of_outputs_stay_and_scales_of_inputs_are_refused() {
        let along = |axis: usize, scale: &[f32]| Quant {
            scale: scale.to_vec(),
            zero_point: vec![0; scale.len()],
            axis: Some(axis),
        };
        let made = quant(&along(1, &[1.0, 2.0, 3.0]), &FILE, 2).expect("outputs of a group");
        assert_eq!((made.scale, made.axis), (vec![1.0, 2.0, 3.0, 1.0, 2.0, 3.0], Some(0)));
        assert_eq!(quant(&along(0, &[1.0, 2.0, 3.0, 4.0]), &FILE, 2), None);
        let depthwise = quant(&along(0, &[1.0, 2.0]), &[2, 1, 3, 3], 2).expect("each input is one output");
        assert_eq!(depthwise.scale, [1.0, 2.0]);
        assert_eq!(quant(&Quant::per_tensor(0.5, 3), &FILE, 2), Some(Quant::per_tensor(0.5, 3)));
    }
}
