//! Bytes to program, for bytes of any origin: every count is held against the bytes that are left before anything is allocated for it.

use super::{
    ALIGNMENT, ALLOCATION_FACTOR, CHECKSUM_BYTES, ContainerError, ELEMENTS, ENTRY_BYTES, HEADER_BYTES, LAYOUTS, MAGIC,
    ROLES, Section, VERSION, machine_hash,
};
use crate::isa::Instruction;
use crate::program::{LayerEntry, ModelEntry, Program, Segment, TensorEntry};

/// Bytes of an instruction word.
const WORD: usize = 16;
/// Bytes of the shortest text: its length.
const MIN_TEXT: usize = 8;
/// Bytes of the shortest segment: address and length.
const MIN_SEGMENT: usize = 16;
/// Bytes of the shortest tensor: two lengths, four dimensions, three codes, address, pitch, scale, zero point, flag.
const MIN_TENSOR: usize = 2 * 8 + 4 * 8 + 3 + 4 * 8 + 2 * 4 + 1;
/// Bytes of the shortest layer: four lengths, two numbers and the bits of a weight.
const MIN_LAYER: usize = 4 * 8 + 2 * 8 + 4;

// What `ALLOCATION_FACTOR` promises, kind by kind; text and bytes take what they take in the file.
const _: () = assert!(size_of::<Instruction>() < ALLOCATION_FACTOR * WORD);
const _: () = assert!(size_of::<String>() < ALLOCATION_FACTOR * MIN_TEXT);
const _: () = assert!(size_of::<Segment>() < ALLOCATION_FACTOR * MIN_SEGMENT);
const _: () = assert!(size_of::<TensorEntry>() < ALLOCATION_FACTOR * MIN_TENSOR);
const _: () = assert!(size_of::<LayerEntry>() < ALLOCATION_FACTOR * MIN_LAYER);

/// The whole file but for the checks across sections.
pub(super) fn program(bytes: &[u8]) -> Result<Program, ContainerError> {
    let [machine, model, code, image, tensors, layers, source] = sections(bytes)?;
    let machine_yaml = read_machine(machine)?;
    let model = read_model(model)?;
    let instructions = read_code(code)?;
    let (dram_bytes, image) = read_image(image)?;
    let tensors = read_list(tensors, MIN_TENSOR, read_tensor)?;
    let layers = read_list(layers, MIN_LAYER, read_layer)?;
    let source = read_source(source)?;
    Ok(Program { machine_yaml, model, dram_bytes, instructions, source, layers, image, tensors })
}

/// Checks header, checksum and section table, and gives the sections' readers in order.
fn sections(bytes: &[u8]) -> Result<[Reader<'_>; 7], ContainerError> {
    let table_end = HEADER_BYTES + ENTRY_BYTES * Section::ALL.len();
    let need = table_end.next_multiple_of(ALIGNMENT) + CHECKSUM_BYTES;
    // A wrong magic says more than a short file.
    if bytes.len() >= MAGIC.len() && !bytes.starts_with(&MAGIC) {
        return Err(ContainerError::Magic);
    }
    let (Some((content, stated)), true) = (bytes.split_last_chunk::<CHECKSUM_BYTES>(), bytes.len() >= need) else {
        return Err(ContainerError::TooShort { have: bytes.len(), need });
    };
    let mut header = Reader { section: Section::Machine, bytes: content, at: MAGIC.len() };
    let version = header.u32()?;
    if version != VERSION {
        return Err(ContainerError::Version(version));
    }
    let (stated, computed) = (u32::from_le_bytes(*stated), crc32fast::hash(content));
    if stated != computed {
        return Err(ContainerError::Checksum { stated, computed });
    }
    if header.u32()? as usize != Section::ALL.len() {
        return Err(ContainerError::Table("version 1 has seven sections"));
    }
    if header.u32()? != 0 {
        return Err(ContainerError::Table("the header's reserved word is not 0"));
    }
    let mut end = table_end;
    let mut readers = Section::ALL.map(|section| Reader { section, bytes: &[], at: 0 });
    for (reader, section) in readers.iter_mut().zip(Section::ALL) {
        let length = table_entry(&mut header, content, section, end)?;
        let start = end.next_multiple_of(ALIGNMENT);
        end = start + length;
        reader.bytes = &content[start..end];
    }
    if gap(content, end)? != content.len() {
        return Err(ContainerError::Table("bytes follow the last section"));
    }
    Ok(readers)
}

/// Reads one entry, which must begin where the previous section's padding ends; gives the length, known to lie within the file.
fn table_entry(
    header: &mut Reader<'_>,
    content: &[u8],
    section: Section,
    previous_end: usize,
) -> Result<usize, ContainerError> {
    if header.take(4)? != section.tag().as_bytes() {
        return Err(ContainerError::Table("a tag is not the one that stands in its place"));
    }
    if header.u32()? != 0 {
        return Err(ContainerError::Table("an entry's reserved word is not 0"));
    }
    let start = gap(content, previous_end)?;
    if header.u64()? != start as u64 {
        return Err(ContainerError::Table("a section does not begin where the previous one ends"));
    }
    match usize::try_from(header.u64()?) {
        Ok(length) if length <= content.len() - start => Ok(length),
        _ => Err(ContainerError::Table("a section passes the end of the file")),
    }
}

/// The end of the padding after `end`, which must be zero and within the file.
fn gap(content: &[u8], end: usize) -> Result<usize, ContainerError> {
    let start = end.next_multiple_of(ALIGNMENT);
    match content.get(end..start) {
        None => Err(ContainerError::Table("a section passes the end of the file")),
        Some(padding) if padding.iter().any(|&byte| byte != 0) => {
            Err(ContainerError::Table("the padding between sections is not 0"))
        }
        Some(_) => Ok(start),
    }
}

fn read_machine(mut reader: Reader<'_>) -> Result<String, ContainerError> {
    let stated = reader.take(32)?;
    let yaml = reader.utf8(reader.left())?;
    if stated != machine_hash(&yaml) {
        return Err(ContainerError::MachineHash);
    }
    Ok(yaml)
}

fn read_model(mut reader: Reader<'_>) -> Result<ModelEntry, ContainerError> {
    let model = ModelEntry {
        name: reader.text()?,
        macs: reader.u64()?,
        parameters: reader.u64()?,
        weight_bytes: reader.u64()?,
        batch: reader.u64()?,
    };
    reader.finish()?;
    Ok(model)
}

fn read_code(mut reader: Reader<'_>) -> Result<Vec<Instruction>, ContainerError> {
    let count = reader.left() / WORD;
    let mut instructions = Vec::with_capacity(count);
    for index in 0..count {
        let word = u128::from_le_bytes(reader.array()?);
        instructions.push(Instruction::decode(word).map_err(|source| ContainerError::Instruction { index, source })?);
    }
    reader.finish()?;
    Ok(instructions)
}

fn read_image(mut reader: Reader<'_>) -> Result<(u64, Vec<Segment>), ContainerError> {
    let dram_bytes = reader.u64()?;
    let image = read_list(reader, MIN_SEGMENT, |reader| {
        let address = reader.u64()?;
        let length = reader.count(1)?;
        Ok(Segment { address, bytes: reader.take(length)?.to_vec() })
    })?;
    Ok((dram_bytes, image))
}

fn read_source(mut reader: Reader<'_>) -> Result<Vec<u32>, ContainerError> {
    let count = reader.left() / 4;
    let source = (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(source)
}

/// A count and as many entries, to the end of the section.
fn read_list<T>(
    mut reader: Reader<'_>,
    min_bytes: usize,
    entry: fn(&mut Reader<'_>) -> Result<T, ContainerError>,
) -> Result<Vec<T>, ContainerError> {
    let entries = reader.list(min_bytes, entry)?;
    reader.finish()?;
    Ok(entries)
}

fn read_tensor(reader: &mut Reader<'_>) -> Result<TensorEntry, ContainerError> {
    Ok(TensorEntry {
        name: reader.text()?,
        shape: reader.list(8, Reader::u64)?,
        dims: [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?],
        element: reader.code(&ELEMENTS, "no element type has this code")?,
        role: reader.code(&ROLES, "no role has this code")?,
        layout: reader.code(&LAYOUTS, "no layout has this code")?,
        address: reader.u64()?,
        pixel_pitch: reader.u64()?,
        row_pitch: reader.u64()?,
        image_pitch: reader.u64()?,
        scale: f32::from_bits(reader.u32()?),
        zero_point: i32::from_le_bytes(reader.array()?),
        float_name: match reader.code(&[false, true], "a flag is neither 0 nor 1")? {
            false => None,
            true => Some(reader.text()?),
        },
    })
}

fn read_layer(reader: &mut Reader<'_>) -> Result<LayerEntry, ContainerError> {
    Ok(LayerEntry {
        name: reader.text()?,
        nodes: reader.list(MIN_TEXT, Reader::text)?,
        op: reader.text()?,
        macs: reader.u64()?,
        weight_bits: reader.u32()?,
        compulsory_bytes: reader.u64()?,
        mapping: reader.text()?,
    })
}

/// A place in a section. `at` never passes the end.
struct Reader<'a> {
    section: Section,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ContainerError> {
        let ends = ContainerError::Ends { section: self.section, at: self.at };
        let taken = self.bytes[self.at..].get(..length).ok_or(ends)?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ContainerError> {
        let ends = ContainerError::Ends { section: self.section, at: self.at };
        let taken = self.bytes[self.at..].first_chunk().ok_or(ends)?;
        self.at += N;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, ContainerError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ContainerError> {
        self.array().map(u64::from_le_bytes)
    }

    /// How many entries follow, each of at least `min_bytes` bytes: as many can be allocated.
    fn count(&mut self, min_bytes: usize) -> Result<usize, ContainerError> {
        let at = self.at;
        let count = self.u64()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.left() / min_bytes => Ok(count),
            _ => Err(self.value(at, "a count or length passes the end of the section")),
        }
    }

    fn list<T>(
        &mut self,
        min_bytes: usize,
        entry: fn(&mut Self) -> Result<T, ContainerError>,
    ) -> Result<Vec<T>, ContainerError> {
        let count = self.count(min_bytes)?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(entry(self)?);
        }
        Ok(entries)
    }

    fn text(&mut self) -> Result<String, ContainerError> {
        let length = self.count(1)?;
        self.utf8(length)
    }

    fn utf8(&mut self, length: usize) -> Result<String, ContainerError> {
        let at = self.at;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.value(at, "a text is not UTF-8"))
    }

    fn code<T: Copy>(&mut self, all: &[T], what: &'static str) -> Result<T, ContainerError> {
        let at = self.at;
        let [code] = self.array()?;
        all.get(usize::from(code)).copied().ok_or(self.value(at, what))
    }

    fn value(&self, at: usize, what: &'static str) -> ContainerError {
        ContainerError::Value { section: self.section, at, what }
    }

    fn finish(self) -> Result<(), ContainerError> {
        match self.left() {
            0 => Ok(()),
            extra => Err(ContainerError::Extra { section: self.section, extra }),
        }
    }
}
