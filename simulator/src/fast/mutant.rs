//! Wrong versions of rules, to show that the comparison of the engines finds them (`docs/mutants.md`). Not part of any model.
//!
//! With the feature `mutants` one of them can be chosen at run time; without it [`on`] is false at compile time and nothing of this is left.

macro_rules! mutants {
    ($($name:ident $rule:literal $what:literal)+) => {
        /// A wrong version of one rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "`what` says it")]
        pub enum Mutant { $($name),+ }

        impl Mutant {
            /// Every one.
            pub const ALL: &'static [Mutant] = &[$(Mutant::$name),+];

            /// The rule that it breaks.
            pub fn rule(self) -> &'static str {
                match self { $(Mutant::$name => $rule),+ }
            }

            /// What it does instead.
            pub fn what(self) -> &'static str {
                match self { $(Mutant::$name => $what),+ }
            }
        }
    };
}

mutants! {
    QueueOneDeeper "T-1" "a queue holds one instruction more"
    IntervalLonger "T-1" "one cycle more from fetch to fetch"
    StartAtFetch "T-2" "an instruction can start in the cycle of its fetch"
    TokenLate "T-2" "a token is seen a cycle after the end of its giver"
    TokenEarly "T-2" "a token is seen a cycle before the end of its giver"
    DataflowSwitchFree "T-2" "a run of another dataflow does not wait for the end of the one before"
    RetireOutOfOrder "T-3" "an instruction ends before the one before it"
    VectorBeforeArray "T-4" "the vector unit takes ports before the array"
    ArraysBackwards "T-4" "later arrays take ports before earlier ones"
    StoreBeforeLoad "T-4" "stores take ports and the bus before loads"
    PortHeldShorter "T-4" "a port is free a cycle before its holder's end"
    PortMore "T-4" "each bank has one port more"
    TileShorter "T-5" "a tile loads in one cycle less"
    TileRowFloor "T-5" "cycles to load a row are rounded down"
    ChunkUnlimited "T-5" "a vector reads its whole run, not a chunk of R"
    WritePortIgnored "T-5" "the accumulator port does not slow vectors"
    DrainShorter "T-5" "the array drains in one cycle less"
    DrainLonger "T-5" "the array drains in one cycle more"
    CadenceWithoutTile "T-5" "folds follow each other faster than tiles load"
    StreamEndIgnored "T-5" "a run does not wait for the stream of the one before"
    ReleaseAtStreamEnd "T-5" "a run releases the array after its last vector"
    OneRegisterPrefetches "T-5" "one weight register loads all tiles but the first for free"
    FeedersApart "T-5" "neighbouring pixels of a dense image are read one by one (output-stationary)"
    SumsDrainShorter "T-5" "an output-stationary fold drains one row less"
    DrainsOverlap "T-5" "a run does not wait for the drain of the one before"
    PeLatencyUnskewed "T-5" "a PE's latency delays one row only"
    StreamsShared "T-5" "a run waits for the stream of whichever array ran before"
    OneBankLoadsEarly "T-5" "a first tile loads from the one bank during the stream of the run before"
    OneBankServesBoth "T-5" "one bank serves both operands of an array at once"
    WideTimedAsByte "T-5" "a wide operand takes the port as long as a byte"
    WideAtByteRate "T-5" "a PE takes wide operands at the rate of bytes"
    LatencyDropped "T-6" "the vector unit has no latency"
    RestBlockMerged "T-6" "the last, smaller block costs nothing of its own parameters"
    ParametersFree "T-6" "parameters per channel are fetched in no time"
    RecordsOfEight "T-6" "parameters of three words are fetched as two"
    WindowFlat "T-6" "a pooling window has one column"
    SoftmaxTwoPasses "T-6" "softmax passes twice"
    LrnWindowFree "T-6" "normalisation passes once over its window"
    TransposerEmptiesFree "T-6" "a transposer takes no time to be emptied"
    LanesBeyondPort "T-6" "lanes are not limited by the port"
    RequantBeyondPort "T-6" "requantisation is not limited by the accumulator port"
    WideLanesAsByte "T-6" "the widest operand does not slow the lanes"
    NeighboursReadOnce "T-6" "two neighbours in a row are one read"
    BurstUnaligned "T-7" "rows are cut from their start, not at addresses"
    BusRoundsDown "T-7" "a fraction of a bus cycle is lost"
    BusAlwaysFree "T-7" "bursts do not wait for the bus"
    LatencyLonger "T-7" "memory answers a cycle later"
    IdealLater "T-7" "ideal memory answers after two cycles"
    OneMoreOutstanding "T-8" "one burst more in flight"
    LoadReleaseLate "T-8" "a load releases its unit a cycle later"
    WriteRoundsDown "T-8" "cycles to move a burst are rounded down"
    StoreReleaseLate "T-9" "a store releases its unit a cycle later"
    StallOrder "T-10" "the last missing token is named"
    RefusalIsMemory "T-10" "a refused port counts as waiting for memory"
    TotalWithoutFetch "T-11" "a last fetch without a start does not count"
    TokenMaxLoose "M-12" "a semaphore holds one token more"
    SpacesApart "M-12" "no race is seen between weights and activations of one memory"
    RegistersShared "M-3" "all arrays have the registers of the first"
    InputGroupsOfRows "M-5" "input-stationary pixels go in groups of R"
    AccumulateIgnored "M-5" "the first fold always starts from 0"
    DilationIgnored "M-5" "kernel rows are adjacent"
    LargeZeroPointCut "M-5" "a zero point beyond 16 bits of operand is clamped"
    HalfUp "N-0" "halves are rounded up"
    NoUpperClamp "N-0" "results above the clamp wrap"
    NanIsLarge "N-0" "NaN becomes the largest value"
    SignedZeroOff "M-6" "signed operands are one too large"
    BiasSaturates "N-1" "bias and accumulator are added with saturation"
    EmptyMaximum "N-4" "the maximum of nothing is the largest value"
    AverageCountsPad "N-5" "averages count padding always"
    AverageTiesUp "N-5" "integer averages of negative values take ties upwards"
    AddByReciprocal "N-6" "a sum is multiplied by the reciprocal of its scale"
    WideSumsRaisedByTwenty "N-6" "wide integer sums have 20 bits below the point"
    MulZeroAfter "N-7" "a product is rounded before its zero point is added"
    RescaleByQuotient "N-9" "a value is multiplied by the quotient of the scales"
    SoftmaxSumBackwards "N-10" "exponentials are added in the other order"
    LrnWindowLow "N-13" "of an even window the larger half lies below the channel"
    LrnAlphaWhole "N-13" "alpha is not divided by the size"
    SumFirstTwice "N-14" "all tensors have the first one's zero point"
    OffsetsSwapped "N-26" "of a pair of offsets the first moves along the row"
    OutsideIsZeroByte "N-26" "pixels outside the image hold the byte 0"
    LastMaximum "N-27" "of equal maxima the last one counts"
    RoundingDropped "N-17" "integer scalings round down"
    RoundedOnce "N-17" "double rounding rounds once"
    TiesUpTwice "N-17" "the second rounding of negative values takes ties upwards"
    DepthwiseResultsFree "T-6" "a depthwise pixel takes its taps alone, however slow requantisation is"
    DepthwisePadding "N-31" "taps in padding count as the zero point's distance"
    PoolDilationIgnored "M-7" "the taps of a pooling window are adjacent"
    NarrowSumsKept "N-20" "sums of under 32 bits do not wrap"
    TableSignedIndex "N-24" "a table of signed bytes begins with the entry of −128"
    TableOfFirstChannel "N-24" "all channels take the first one's table"
    DifferenceBackwards "N-25" "the first operand is subtracted from the second"
    LargerBeforeScales "N-25" "of two operands the one that is larger before it is scaled is taken"
    DecoderAtOnce "T-8" "a decoder has no latency"
    DecoderAsWideAsPort "T-8" "a decoder does not limit the port"
    ShareRoundsUp "T-8" "a burst's share of the decoded bytes is rounded up"
    LongestRunHasValue "N-29" "a value follows the run of 255 too"
}

#[cfg(feature = "mutants")]
static CHOSEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(usize::MAX);

/// From now on all runs of this process have this mutant, or none.
#[cfg(feature = "mutants")]
pub fn choose(mutant: Option<Mutant>) {
    CHOSEN.store(mutant.map_or(usize::MAX, |mutant| mutant as usize), std::sync::atomic::Ordering::SeqCst);
}

/// Whether this mutant is chosen.
#[cfg(feature = "mutants")]
#[inline(always)]
pub(super) fn on(mutant: Mutant) -> bool {
    CHOSEN.load(std::sync::atomic::Ordering::Relaxed) == mutant as usize
}

/// Whether this mutant is chosen: none ever is.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(super) const fn on(_: Mutant) -> bool {
    false
}
