//! A DRAM of channels, ranks, bank groups, banks and rows in plain numbers. What they mean is `docs/dram.md`.

/// A part of a DRAM address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Row of a bank.
    Row,
    /// Burst of a row.
    Column,
    /// Bank of a group.
    Bank,
    /// Bank group of a rank.
    Group,
    /// Rank of a channel.
    Rank,
    /// Channel.
    Channel,
}

impl Field {
    /// All.
    pub const ALL: [Field; 6] = [Field::Row, Field::Column, Field::Bank, Field::Group, Field::Rank, Field::Channel];

    /// As machine files name it.
    pub fn name(self) -> &'static str {
        match self {
            Field::Row => "row",
            Field::Column => "column",
            Field::Bank => "bank",
            Field::Group => "group",
            Field::Rank => "rank",
            Field::Channel => "channel",
        }
    }
}

/// Timing parameters in DRAM cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DramTiming {
    /// From a read to its first data.
    pub cl: u32,
    /// From a write to its first data.
    pub cwl: u32,
    /// From an activate to a read or write of the row.
    pub trcd: u32,
    /// From a precharge of a bank to its activate.
    pub trp: u32,
    /// From a precharge of all banks to the refresh.
    pub trp_all: u32,
    /// From an activate to the precharge.
    pub tras: u32,
    /// From an activate to one in another bank group.
    pub trrd_s: u32,
    /// From an activate to one in the same bank group.
    pub trrd_l: u32,
    /// Cycles in which no more than four activates of a rank begin.
    pub tfaw: u32,
    /// From a read (write) to one in another bank group.
    pub tccd_s: u32,
    /// From a read (write) to one in the same bank group.
    pub tccd_l: u32,
    /// From the end of a write's data to a read in another bank group.
    pub twtr_s: u32,
    /// From the end of a write's data to a read in the same bank group.
    pub twtr_l: u32,
    /// From the end of a write's data to the precharge.
    pub twr: u32,
    /// From a read to the precharge.
    pub trtp: u32,
    /// Cycles of the data bus between two that drive it.
    pub trtrs: u32,
    /// From one refresh of a rank to the next.
    pub trefi: u32,
    /// From a refresh to the next command.
    pub trfc: u32,
}

/// A DRAM with banks. Counts are powers of two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Banked {
    /// The part that the file names; what it overrides is in the numbers.
    pub preset: String,
    /// Command clock; data moves twice a cycle.
    pub clock_hz: u64,
    /// Independent channels.
    pub channels: u32,
    /// Ranks of a channel.
    pub ranks: u32,
    /// Bank groups of a rank.
    pub groups: u32,
    /// Banks of a group.
    pub banks: u32,
    /// Rows of a bank.
    pub rows: u32,
    /// Bursts of a row.
    pub row_bursts: u32,
    /// Bytes of a burst.
    pub burst_bytes: u32,
    /// Cycles of a burst on the data bus.
    pub burst_cycles: u32,
    /// Timing parameters.
    pub timing: DramTiming,
    /// The bits of a burst's number, most significant first: field and bits of each piece.
    pub mapping: Vec<(Field, u32)>,
    /// An open row that no request wants is closed.
    pub closed_page: bool,
    /// Ranks are refreshed.
    pub refresh: bool,
    /// Requests that a channel chooses among.
    pub queue_depth: u32,
}

impl Banked {
    /// How many of a field there are.
    pub fn count(&self, field: Field) -> u32 {
        match field {
            Field::Row => self.rows,
            Field::Column => self.row_bursts,
            Field::Bank => self.banks,
            Field::Group => self.groups,
            Field::Rank => self.ranks,
            Field::Channel => self.channels,
        }
    }

    /// Bytes of all channels together.
    pub fn capacity_bytes(&self) -> u64 {
        let counts = Field::ALL.into_iter().map(|field| u64::from(self.count(field)));
        counts.fold(u64::from(self.burst_bytes), u64::saturating_mul)
    }

    /// Bytes a second of all data buses together, rounded down.
    pub fn bandwidth_bytes_per_s(&self) -> u64 {
        let bytes = u128::from(self.channels) * u128::from(self.burst_bytes) * u128::from(self.clock_hz);
        u64::try_from(bytes / u128::from(self.burst_cycles.max(1))).unwrap_or(u64::MAX).max(1)
    }
}
