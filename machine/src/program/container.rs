//! The file format of a program: magic, version, section table, seven sections, checksum. `docs/container.md` is its description.
//!
//! A program has exactly one encoding: what [`Program::from_bytes`] accepts, [`Program::to_bytes`] gives back byte for byte.
//! Instructions are judged word by word; what they do is not.

mod read;
mod write;

use super::check::{Flaw, flaws};
use super::{ElementType, Layout, Program, Role};
use crate::isa::DecodeError;
use sha2::{Digest, Sha256};

/// The first four bytes.
pub const MAGIC: [u8; 4] = *b"SYSB";

/// The one version that is read: since 2, tensors have pitches of rows and images; since 3, layers the bits of their weights.
pub const VERSION: u32 = 3;

/// Reading allocates less than this many bytes for each byte of the file.
pub const ALLOCATION_FACTOR: usize = 8;

/// Sections begin at multiples of this.
const ALIGNMENT: usize = 16;

/// Bytes before the section table: magic, version, number of sections, zero.
const HEADER_BYTES: usize = 16;

/// Bytes of an entry of the section table: tag, zero, offset, length.
const ENTRY_BYTES: usize = 24;

/// Bytes of the checksum at the end.
const CHECKSUM_BYTES: usize = 4;

/// A section, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The machine's YAML and its SHA-256.
    Machine,
    /// Totals of the model.
    Model,
    /// Instruction words.
    Code,
    /// Size of DRAM, constant image.
    Image,
    /// Tensor table.
    Tensors,
    /// Layers.
    Layers,
    /// Layer of each instruction.
    Source,
}

impl Section {
    /// All, in the order of the file.
    pub const ALL: [Section; 7] = [
        Section::Machine,
        Section::Model,
        Section::Code,
        Section::Image,
        Section::Tensors,
        Section::Layers,
        Section::Source,
    ];

    /// Its tag in the section table, four ASCII letters.
    pub fn tag(self) -> &'static str {
        ["MACH", "MODL", "CODE", "IMAG", "TENS", "LAYR", "SRCE"][self as usize]
    }
}

/// Why bytes are no program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// Fewer bytes than header, section table and checksum take.
    #[error("{have} bytes are too short for a program file; header, section table and checksum take {need}")]
    TooShort {
        /// Bytes of the file.
        have: usize,
        /// Bytes at least.
        need: usize,
    },
    /// The first four bytes are not [`MAGIC`].
    #[error("not a program file: it does not begin with `SYSB`")]
    Magic,
    /// Another version.
    #[error("format version {0}; this program reads version {VERSION}")]
    Version(u32),
    /// The file was changed or cut.
    #[error("the checksum is {computed:#010x}, but the file states {stated:#010x}: it was damaged or cut short")]
    Checksum {
        /// In the file's last four bytes.
        stated: u32,
        /// Of the bytes before.
        computed: u32,
    },
    /// Header or section table are not as this version lays them out.
    #[error("section table: {0}")]
    Table(&'static str),
    /// A section ends in the middle of a value.
    #[error("section {}: it ends at byte {at} in the middle of a value", .section.tag())]
    Ends {
        /// The section.
        section: Section,
        /// Offset in the section at which the value begins.
        at: usize,
    },
    /// A section has bytes after its last value.
    #[error("section {}: {extra} bytes follow its last value", .section.tag())]
    Extra {
        /// The section.
        section: Section,
        /// How many.
        extra: usize,
    },
    /// A value without meaning.
    #[error("section {}: at byte {at}, {what}", .section.tag())]
    Value {
        /// The section.
        section: Section,
        /// Offset in the section at which the value begins.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The machine's text is not the one that was hashed.
    #[error("section MACH: the SHA-256 of the machine's YAML differs from the stated one")]
    MachineHash,
    /// A word is no instruction.
    #[error("instruction {index}: {source}")]
    Instruction {
        /// Its index.
        index: usize,
        /// Why.
        source: DecodeError,
    },
    /// The parts do not fit together; the first flaw.
    #[error(transparent)]
    Flaw(#[from] Flaw),
}

impl Program {
    /// The program as a file. Only a program without [`flaws`] can be read back.
    pub fn to_bytes(&self) -> Vec<u8> {
        write::program(self)
    }

    /// Reads a file: any byte string gives a program or an error, with allocations under [`ALLOCATION_FACTOR`] times its length.
    ///
    /// # Errors
    /// The first thing that is not as [`Program::to_bytes`] would have written it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program, ContainerError> {
        let program = read::program(bytes)?;
        let flaw = flaws(&program).next();
        flaw.map_or(Ok(program), |flaw| Err(flaw.into()))
    }
}

fn machine_hash(yaml: &str) -> [u8; 32] {
    Sha256::digest(yaml.as_bytes()).into()
}

/// The codes of element types, roles and layouts are their index here.
const ELEMENTS: [ElementType; 5] =
    [ElementType::I8, ElementType::U8, ElementType::I16, ElementType::B1, ElementType::I32];
const ROLES: [Role; 3] = [Role::Input, Role::Output, Role::Intermediate];
const LAYOUTS: [Layout; 1] = [Layout::Nhwc];
