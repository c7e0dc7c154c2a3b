//! What a signal does: its changes in order of time, made as they are asked for, so that a wave costs events and not cycles.

/// A cycle and the value from it on; `None` is high impedance: there is nothing to tell. The first change is at cycle 0.
pub(super) type Changes<'a> = Box<dyn Iterator<Item = (u64, Option<u64>)> + 'a>;

/// Stretches `[start, end)` with a value each, ascending and disjoint.
pub(super) type Stretches<'a> = Box<dyn Iterator<Item = (u64, u64, u64)> + 'a>;

/// A value made of what several layers of stretches have at a time.
pub(super) fn layered<'a>(
    layers: Vec<Stretches<'a>>,
    value: impl Fn(&[Option<u64>]) -> Option<u64> + 'a,
) -> Changes<'a> {
    let mut layers: Vec<_> = layers.into_iter().map(Iterator::peekable).collect();
    let mut active = vec![None; layers.len()];
    let mut next = Some(0);
    let mut last = None;
    Box::new(std::iter::from_fn(move || {
        loop {
            let now = next?;
            let mut after = None;
            for (layer, active) in layers.iter_mut().zip(&mut active) {
                while layer.next_if(|&(_, end, _)| end <= now).is_some() {}
                let (boundary, inside) = match layer.peek() {
                    Some(&(start, _, _)) if start > now => (Some(start), None),
                    Some(&(_, end, value)) => (Some(end), Some(value)),
                    None => (None, None),
                };
                *active = inside;
                after = [after, boundary].into_iter().flatten().min();
            }
            next = after;
            let value = value(&active);
            if last.replace(value) != Some(value) {
                return Some((now, value));
            }
        }
    }))
}

/// The first layer that has something, or nothing.
pub(super) fn uppermost(active: &[Option<u64>]) -> Option<u64> {
    active.iter().copied().flatten().next()
}

/// How many have come and not gone; both in order of time.
pub(super) fn count<'a>(come: impl Iterator<Item = u64> + 'a, gone: impl Iterator<Item = u64> + 'a) -> Changes<'a> {
    let (mut come, mut gone) = (come.peekable(), gone.peekable());
    let (mut count, mut last) = (0u64, None);
    let mut first = Some(0);
    Box::new(std::iter::from_fn(move || {
        loop {
            let now = match first.take() {
                Some(now) => now,
                None => [come.peek(), gone.peek()].into_iter().flatten().copied().min()?,
            };
            while come.next_if(|&cycle| cycle <= now).is_some() {
                count = count.wrapping_add(1);
            }
            while gone.next_if(|&cycle| cycle <= now).is_some() {
                count = count.wrapping_sub(1);
            }
            if last.replace(count) != Some(count) {
                return Some((now, Some(count)));
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_layers_hide_lower_ones() {
        let low: Stretches = Box::new([(2, 6, 1), (6, 8, 1), (9, 10, 2)].into_iter());
        let high: Stretches = Box::new([(0, 1, 7), (4, 5, 8)].into_iter());
        let found: Vec<_> = layered(vec![high, low], uppermost).collect();
        let expected =
            [(0, Some(7)), (1, None), (2, Some(1)), (4, Some(8)), (5, Some(1)), (8, None), (9, Some(2)), (10, None)];
        assert_eq!(found, expected);
    }

    #[test]
    fn counts_tell_net_changes_only() {
        let found: Vec<_> = count([3, 3, 5, 9].into_iter(), [4, 5, 9, 9].into_iter()).collect();
        assert_eq!(found, [(0, Some(0)), (3, Some(2)), (4, Some(1)), (9, Some(0))]);
    }
}
