//! Tensors at the edge of the program: `.npz` and `.npy` files, float to integer (N-2) and back (N-3), and between logical `[n, c, h, w]` order and
//! the places of a program's tensor table.
//!
//! No network is known here (but for its element types), and no machine.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use npyz::npz::NpzArchive;
use npyz::{NpyFile, Order, WriterBuilder};
use systole_golden::Value;
use systole_machine::program::{ElementType, TensorEntry};
use systole_network::tensor::DType;

use crate::files;
use crate::problem::{Failure, Problem, did_you_mean};

/// Elements of an array in a file at most: beyond any activation, and small enough for memory.
const MAX_ELEMENTS: u64 = 1 << 28;

/// A tensor with its logical shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Outermost first.
    pub shape: Vec<u64>,
    /// Elements, row-major.
    pub value: Value,
}

/// An integer tensor as people see it: what a file's array has to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The integer tensor's name.
    pub name: String,
    /// Name of the float tensor that it stands for, where the model has one.
    pub float_name: Option<String>,
    /// Logical shape.
    pub shape: Vec<u64>,
    /// Element type.
    pub element: ElementType,
    /// Real value = `scale · (q − zero_point)`.
    pub scale: f32,
    /// See `scale`.
    pub zero_point: i32,
}

impl From<&TensorEntry> for Port {
    fn from(entry: &TensorEntry) -> Self {
        Port {
            name: entry.name.clone(),
            float_name: entry.float_name.clone(),
            shape: entry.shape.clone(),
            element: entry.element,
            scale: entry.scale,
            zero_point: entry.zero_point,
        }
    }
}

impl Port {
    /// The name that an array for it would have: the float tensor's where there is one.
    pub fn model_name(&self) -> &str {
        self.float_name.as_deref().unwrap_or(&self.name)
    }

    /// Bytes, two's complement and little-endian, of floats by rule N-2.
    pub fn quantise(&self, values: &[f32]) -> Vec<u8> {
        let count = self.element.bytes() as usize;
        let integers = values.iter().map(|&x| quantise(x, self.scale, self.zero_point, self.element));
        integers.flat_map(|q| q.to_le_bytes().into_iter().take(count)).collect()
    }

    /// Floats of such bytes by rule N-3.
    pub fn dequantise(&self, bytes: &[u8]) -> Vec<f32> {
        let real = |q: i32| (q - self.zero_point) as f32 * self.scale;
        integers(bytes, self.element).map(real).collect()
    }

    /// The bytes as an array of the port's type.
    pub fn array(&self, bytes: Vec<u8>) -> Array {
        Array { shape: self.shape.clone(), value: value(bytes, self.element) }
    }
}

/// The integers that bytes hold.
pub fn integers(bytes: &[u8], element: ElementType) -> impl Iterator<Item = i32> + '_ {
    bytes.chunks_exact(element.bytes() as usize).map(move |bytes| match (element, bytes) {
        (ElementType::I8 | ElementType::B1, &[byte]) => i32::from(byte as i8),
        (_, &[low, high]) => i32::from(i16::from_le_bytes([low, high])),
        (_, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
        (_, bytes) => bytes.iter().map(|&byte| i32::from(byte)).sum(),
    })
}

/// Bytes as a golden value of that type.
pub fn value(bytes: Vec<u8>, element: ElementType) -> Value {
    match element {
        ElementType::I8 | ElementType::B1 => Value::I8(bytes.into_iter().map(|byte| byte as i8).collect()),
        ElementType::U8 => Value::U8(bytes),
        ElementType::I16 => Value::from_le_bytes(DType::I16, &bytes),
        ElementType::I32 => Value::from_le_bytes(DType::I32, &bytes),
    }
}

/// Rule N-2, with N-0 for its end: NaN gives the zero point, infinities saturate.
pub fn quantise(x: f32, scale: f32, zero_point: i32, element: ElementType) -> i32 {
    let v = x / scale;
    let rounded = if v.is_nan() { 0 } else { v.round_ties_even().clamp(-2_147_483_648.0, 2_147_483_648.0) as i64 };
    let (low, high) = element.range();
    (rounded + i64::from(zero_point)).clamp(low.into(), high.into()) as i32
}

/// Bits as bytes of −1 and 1, lowest first (M-14).
fn signs(bits: &[u8]) -> Vec<u8> {
    bits.iter().flat_map(|byte| (0..8).map(move |bit| if byte >> bit & 1 == 1 { 1 } else { 0xff })).collect()
}

/// A tensor out of DRAM, in logical order (M-2). `None` when it does not lie in `dram`.
pub fn gather(entry: &TensorEntry, dram: &[u8]) -> Option<Vec<u8>> {
    let [n, c, h, w] = entry.dims.map(|d| d as usize);
    let (image, element) = (h * w, entry.element.bytes() as usize);
    let mut logical = vec![0; n * c * image * element];
    for (pixel, address) in entry.pixels().enumerate() {
        let start = usize::try_from(address).ok()?;
        let length = entry.element.pixel_bytes(entry.dims[1]) as usize;
        let stored = dram.get(start..start.checked_add(length)?)?;
        let bytes = if entry.element == ElementType::B1 { signs(stored) } else { stored.to_vec() };
        let (item, place) = (pixel / image, pixel % image);
        for (channel, bytes) in bytes.chunks_exact(element).take(c).enumerate() {
            let index = (item * c + channel) * image + place;
            logical[index * element..][..element].copy_from_slice(bytes);
        }
    }
    Some(logical)
}

/// A tensor in logical order as pieces of DRAM (M-2): one when its pixels follow each other, else one a pixel.
pub fn scatter(entry: &TensorEntry, logical: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let [n, c, h, w] = entry.dims.map(|d| d as usize);
    let (image, size) = (h * w, entry.element.bytes() as usize);
    let mut bytes = vec![0; n * c * image * size];
    for (index, element) in logical.chunks_exact(size).enumerate().take(n * c * image) {
        let (plane, place) = (index / image, index % image);
        let (item, channel) = (plane / c, plane % c);
        bytes[((item * image + place) * c + channel) * size..][..size].copy_from_slice(element);
    }
    let mut pixel_bytes = c * size;
    if entry.element == ElementType::B1 {
        let byte = |signs: &[u8]| signs.iter().rev().fold(0, |byte, &q| byte << 1 | u8::from(q == 1));
        bytes = bytes.chunks(c).flat_map(|pixel| pixel.chunks(8).map(byte)).collect();
        pixel_bytes = c.div_ceil(8);
    }
    if entry.is_dense() || bytes.is_empty() {
        return vec![(entry.address, bytes)];
    }
    entry.pixels().zip(bytes.chunks(pixel_bytes)).map(|(address, pixel)| (address, pixel.to_vec())).collect()
}

/// The arrays of a file by name; a `.npy` file's one array has the empty name.
///
/// # Errors
/// An input failure that names the file and, where it applies, the array.
pub fn read(path: &Path) -> Result<BTreeMap<String, Array>, Failure> {
    let bytes = files::read(path)?;
    let place = path.display().to_string();
    let broken = |name: &str, error: std::io::Error| {
        let what =
            if name.is_empty() { "this array cannot be read".into() } else { format!("array `{name}` cannot be read") };
        Failure::from(Problem::new(what).at(&place).because(error.to_string()))
    };
    if !bytes.starts_with(b"PK") {
        let file = NpyFile::new(&bytes[..]).map_err(|_| {
            Problem::new("this is neither a `.npy` nor a `.npz` file")
                .at(&place)
                .help("write it with `numpy.save` or `numpy.savez`")
        })?;
        return Ok(BTreeMap::from([(String::new(), array(file).map_err(|error| broken("", error))?)]));
    }
    let mut archive = NpzArchive::new(Cursor::new(&bytes)).map_err(|error| broken("", error))?;
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    let mut arrays = BTreeMap::new();
    for name in names {
        let file = archive.by_name(&name).map_err(|error| broken(&name, error))?;
        if let Some(file) = file {
            arrays.insert(name.clone(), array(file).map_err(|error| broken(&name, error))?);
        }
    }
    Ok(arrays)
}

fn array<R: Read>(file: NpyFile<R>) -> std::io::Result<Array> {
    let invalid = |text: String| std::io::Error::new(std::io::ErrorKind::InvalidData, text);
    let shape = file.shape().to_vec();
    let elements = shape.iter().try_fold(1u64, |product, &length| product.checked_mul(length));
    if elements.is_none_or(|elements| elements > MAX_ELEMENTS) {
        return Err(invalid(format!("its shape {shape:?} is beyond {MAX_ELEMENTS} elements")));
    }
    let order = file.order();
    let dtype = file.dtype().descr();
    macro_rules! try_types {
        ($file:ident, $($type:ty => $wrap:expr),+) => {{
            let file = $file;
            $(let file = match file.try_data::<$type>() {
                Ok(reader) => {
                    let values = reader.collect::<std::io::Result<Vec<$type>>>()?;
                    let values = if order == Order::Fortran { row_major(&shape, values) } else { values };
                    return Ok(Array { shape, value: $wrap(values) });
                }
                Err(file) => file,
            };)+
            drop(file);
        }};
    }
    try_types!(
        file, f32 => Value::F32, f64 => narrow, i8 => Value::I8, u8 => Value::U8, i16 => Value::I16, u16 => Value::U16,
        i32 => Value::I32, u32 => Value::U32, i64 => Value::I64, u64 => Value::U64, bool => Value::Bool
    );
    Err(invalid(format!("its type {dtype} is neither float32, float64, bool nor an integer of 8 to 64 bits")))
}

fn narrow(values: Vec<f64>) -> Value {
    Value::F32(values.into_iter().map(|value| value as f32).collect())
}

/// Column-major elements in row-major order.
fn row_major<T: Copy>(shape: &[u64], values: Vec<T>) -> Vec<T> {
    let lengths: Vec<usize> = shape.iter().map(|&length| length as usize).collect();
    (0..values.len())
        .map(|mut index| {
            let mut place = vec![0; lengths.len()];
            for axis in (0..lengths.len()).rev() {
                place[axis] = index % lengths[axis];
                index /= lengths[axis];
            }
            let column_major = place.iter().zip(&lengths).rev().fold(0, |sum, (&at, &length)| sum * length + at);
            values[column_major]
        })
        .collect()
}

/// Writes arrays: into `.npy` when the name says so and there is one array, else `.npz`. The same arrays give the same bytes.
///
/// # Errors
/// An input failure that names the file.
pub fn write(path: &Path, arrays: &BTreeMap<String, Array>) -> Result<(), Failure> {
    if path.extension().is_some_and(|extension| extension == "npy") {
        let [array] = &arrays.values().collect::<Vec<_>>()[..] else {
            return Err(Problem::new(format!("a `.npy` file holds one array, here are {}", arrays.len()))
                .at(path.display().to_string())
                .help("write into a `.npz` file")
                .into());
        };
        let bytes = npy(array);
        return files::write_with(path, |file| file.write_all(&bytes?));
    }
    let bytes = npz(arrays);
    files::write_with(path, |file| file.write_all(&bytes?))
}

/// Bytes of a `.npz` file; entries bear no time of day, so that they depend on the arrays alone.
fn npz(arrays: &BTreeMap<String, Array>) -> std::io::Result<Vec<u8>> {
    use npyz::zip::{DateTime, ZipWriter, write::FileOptions};
    let mut archive = ZipWriter::new(Cursor::new(vec![]));
    for (name, array) in arrays {
        let bytes = npy(array)?;
        let large = bytes.len() as u64 > u64::from(u32::MAX) / 2;
        let options = FileOptions::default().last_modified_time(DateTime::default()).large_file(large);
        archive.start_file(npyz::npz::file_name_from_array_name(name), options)?;
        archive.write_all(&bytes)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Bytes of a `.npy` file.
fn npy(array: &Array) -> std::io::Result<Vec<u8>> {
    macro_rules! put {
        ($values:expr) => {{
            let mut bytes = vec![];
            let options = npyz::WriteOptions::new().default_dtype().shape(&array.shape);
            let mut writer = options.writer(&mut bytes).begin_nd()?;
            writer.extend($values.iter().copied())?;
            writer.finish()?;
            Ok(bytes)
        }};
    }
    match &array.value {
        Value::F32(values) => put!(values),
        Value::I8(values) => put!(values),
        Value::U8(values) => put!(values),
        Value::I16(values) => put!(values),
        Value::I32(values) => put!(values),
        Value::I64(values) => put!(values),
        Value::U16(values) => put!(values),
        Value::U32(values) => put!(values),
        Value::U64(values) => put!(values),
        Value::Bool(values) => put!(values),
    }
}

/// The arrays of an `--input` file, handed out to the ports that they are for.
#[derive(Debug, Default)]
pub struct Inputs {
    arrays: BTreeMap<String, Array>,
    place: String,
}

impl Inputs {
    /// Reads the file; without one there are no arrays. `names` are all names that an input may have; other arrays are refused.
    ///
    /// # Errors
    /// As [`read`]; an array that is for no input.
    pub fn open(path: Option<&Path>, ports: &[Port]) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Inputs::default()) };
        let mut arrays = read(path)?;
        let place = path.display().to_string();
        if let Some(array) = arrays.remove("") {
            let [port] = ports else {
                let names: Vec<&str> = ports.iter().map(Port::model_name).collect();
                return Err(Problem::new(format!("one array, but {} inputs", ports.len()))
                    .at(place)
                    .help(format!("write a `.npz` file with the arrays {}", names.join(", ")))
                    .into());
            };
            arrays.insert(port.model_name().to_owned(), array);
        }
        let known: Vec<&str> = ports.iter().flat_map(|port| [port.model_name(), port.name.as_str()]).collect();
        let strangers: Vec<Problem> = arrays
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| {
                Problem::new(format!("array `{name}` is for no input")).at(&place).help(did_you_mean(name, &known))
            })
            .collect();
        if strangers.is_empty() { Ok(Inputs { arrays, place }) } else { Err(Failure::Input(strangers)) }
    }

    /// The array of that name, which must have this shape and type; `None` when the file has none.
    ///
    /// # Errors
    /// Another type or shape.
    pub fn typed(&self, name: &str, shape: &[u64], dtype: DType) -> Result<Option<Value>, Failure> {
        let Some(array) = self.arrays.get(name) else { return Ok(None) };
        self.check_shape(name, &array.shape, shape)?;
        match &array.value {
            value if value.dtype() == dtype.held() => self.in_range(name, value, dtype).map(Some),
            other if dtype == DType::F32 => Err(self.wrong_type(name, other, "float32")),
            other => Err(self.wrong_type(name, other, dtype.name())),
        }
    }

    /// The logical bytes for a port: integers as they are, floats by N-2; `None` when the file has no array for it.
    ///
    /// # Errors
    /// Another type or shape.
    pub fn bytes(&self, port: &Port) -> Result<Option<Vec<u8>>, Failure> {
        let names = [port.model_name(), port.name.as_str()];
        let Some(name) = names.into_iter().find(|name| self.arrays.contains_key(*name)) else { return Ok(None) };
        let array = &self.arrays[name];
        self.check_shape(name, &array.shape, &port.shape)?;
        match (&array.value, port.element) {
            (Value::F32(values), _) => Ok(Some(port.quantise(values))),
            (value @ Value::I8(_), ElementType::I8 | ElementType::B1)
            | (value @ Value::U8(_), ElementType::U8)
            | (value @ Value::I16(_), ElementType::I16)
            | (value @ Value::I32(_), ElementType::I32) => Ok(Some(value.to_le_bytes())),
            (other, ElementType::I32) => Err(self.wrong_type(name, other, "float32 or int32")),
            (other, ElementType::I16) => Err(self.wrong_type(name, other, "float32 or int16")),
            (other, ElementType::I8 | ElementType::B1) => Err(self.wrong_type(name, other, "float32 or int8")),
            (other, ElementType::U8) => Err(self.wrong_type(name, other, "float32 or uint8")),
        }
    }

    /// The value, when each element is one of a type that files have no arrays of.
    fn in_range(&self, name: &str, value: &Value, dtype: DType) -> Result<Value, Failure> {
        let (low, high) = dtype.range().unwrap_or((i32::MIN, i32::MAX));
        let strange = |q: &i32| !(low..=high).contains(q) || !dtype.has(*q);
        let stranger = match value {
            _ if dtype.bits() >= 8 => None,
            Value::I8(elements) => elements.iter().map(|&q| i32::from(q)).find(strange),
            Value::U8(elements) => elements.iter().map(|&q| i32::from(q)).find(strange),
            _ => None,
        };
        match stranger {
            None => Ok(value.clone()),
            Some(q) => Err(Problem::new(format!("array `{name}` holds {q}, which {} does not have", dtype.name()))
                .at(&self.place)
                .into()),
        }
    }

    fn check_shape(&self, name: &str, found: &[u64], expected: &[u64]) -> Result<(), Failure> {
        if found == expected {
            return Ok(());
        }
        Err(Problem::new(format!("array `{name}` has the shape {found:?}, the input {expected:?}"))
            .at(&self.place)
            .help("tensors in files are `[n, c, h, w]`, the batch as given by `--batch`")
            .into())
    }

    fn wrong_type(&self, name: &str, found: &Value, expected: &str) -> Failure {
        Problem::new(format!("array `{name}` holds {}, the input takes {expected}", found.dtype().name()))
            .at(&self.place)
            .into()
    }
}

#[cfg(test)]
mod tests;
