//! T-1: fetch.

use super::harness::{machine, repeat, spans, with};

#[test]
fn t_01_fetch_keeps_the_interval() {
    for interval in 1..6u64 {
        let machine = with(|machine| machine.control.issue_interval_cycles = interval as u32);
        // f(k) = k · interval, and each starts in the cycle after.
        let expected: Vec<_> = (0..3).map(|k| (k * interval, k * interval + 1, k * interval + 2)).collect();
        assert_eq!(spans(&machine, &repeat("ar.sync", 3)), expected);
    }
}

/// An array instruction that starts at 3 + `later`, when its token comes, and `behind` of the same unit.
fn waiting(later: usize, behind: usize) -> String {
    format!("ar.sync wait(store)\n{}st.sync signal(array)\n{}", repeat("st.sync", later), repeat("ar.sync", behind))
}

#[test]
fn t_01_an_instruction_leaves_its_queue_a_cycle_after_its_start() {
    let depth = |depth| with(|machine| machine.control.queue_depth[1] = depth);
    // Token at 3: the first starts at 3 and leaves at 4. Room for one: the second is fetched at 4, not at 3.
    assert_eq!(spans(&depth(1), &waiting(0, 1))[2], (4, 5, 6));
    // Token at 4: at 5.
    assert_eq!(spans(&depth(1), &waiting(1, 1))[3], (5, 6, 7));
    // Room for two: without waiting, and it starts at the first's release.
    assert_eq!(spans(&depth(2), &waiting(1, 1))[3], (3, 5, 6));
}

#[test]
fn t_01_a_queue_one_deeper_takes_one_more() {
    for depth in 1..5u64 {
        let machine = with(|machine| machine.control.queue_depth[1] = depth as u32);
        // The first starts at 13 and leaves at 14; those behind it are fetched from 12 on, as many as there is room for beside it. Then one a
        // cycle, but for a queue of one: its instruction starts in the cycle after its fetch and leaves in the next.
        let step = if depth == 1 { 2 } else { 1 };
        let expected = (0..6).map(|k| match (k + 1u64).checked_sub(depth) {
            None => 12 + k,
            Some(late) => (14 + late * step).max(12 + k),
        });
        let fetches = spans(&machine, &waiting(10, 6)).into_iter().skip(12).map(|(fetch, _, _)| fetch);
        assert_eq!(fetches.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "depth {depth}");
    }
}

#[test]
fn t_01_the_start_is_after_the_fetch() {
    // A token that is there long before does not make an instruction start in the cycle of its fetch.
    let early = format!("st.sync signal(array)\n{}ar.sync wait(store)", repeat("ld.sync", 5));
    assert_eq!(spans(&machine(), &early)[6], (6, 7, 8));
}
