//! The lines that begin with a dot, each with its fields in order: everything of a program but its instructions.

use super::cursor::Cursor;
use super::error::{AsmErrorKind, Fault, shown};
use super::lexer::Token;
use super::scalar::{integer, named, real};
use super::suggest::nearest;
use super::words::{ELEMENTS, LAYOUTS, ROLES};
use crate::program::{LayerEntry, ModelEntry, TensorEntry};

/// A directive's line.
#[derive(Debug)]
pub(super) enum Directive {
    /// `.machine`: lines of YAML follow.
    Machine,
    /// `.model`.
    Model(ModelEntry),
    /// `.dram`: its size in bytes.
    Dram(u64),
    /// `.layer`.
    Layer(LayerEntry),
    /// `.tensor`.
    Tensor(Box<TensorEntry>),
    /// `.image`: the address of a segment whose bytes follow.
    Image(u64),
    /// `.bytes`: more bytes of the segment.
    Bytes(Vec<u8>),
    /// `.in`: the layer of the following instructions.
    In(u32),
}

/// Every directive.
pub(super) const NAMES: [&str; 8] = [".machine", ".model", ".dram", ".layer", ".tensor", ".image", ".bytes", ".in"];

/// Reads the line; its first token is `name`, already taken.
pub(super) fn directive(name: &Token<'_>, line: &mut Cursor<'_>) -> Result<Directive, Fault> {
    let (read, signature) = match name.text {
        ".machine" => (Ok(Directive::Machine), ".machine"),
        ".model" => (model(line), ".model name=\"...\", macs=..., parameters=..., weight_bytes=..., batch=..."),
        ".dram" => (dram(line), ".dram bytes=..."),
        ".layer" => (
            layer(line),
            ".layer name=\"...\", nodes=[\"...\", ...], op=\"...\", macs=..., weight_bits=..., compulsory_bytes=..., mapping=\"...\"",
        ),
        ".tensor" => (
            tensor(line),
            ".tensor name=\"...\", shape=[...], dims=[n, c, h, w], element=..., role=..., layout=..., address=..., \
             pixel_pitch=..., row_pitch=..., image_pitch=..., scale=..., zero_point=..., and where there is one, float_name=\"...\"",
        ),
        ".image" => (image(line), ".image address=..."),
        ".bytes" => (bytes(line), ".bytes and words of hexadecimal digits, two digits a byte, in order of address"),
        ".in" => (layer_of(line), ".in layer=... with a number, or none"),
        _ => return Err(unknown(name)),
    };
    let whole = read.and_then(|directive| line.finish("the end of the line").map(|()| directive));
    whole.map_err(|fault| {
        let shape_helps = fault.help.is_none() && matches!(*fault.kind, AsmErrorKind::Expected { .. });
        if shape_helps { fault.help(Some(format!("it looks like this: {signature}"))) } else { fault }
    })
}

fn unknown(name: &Token<'_>) -> Fault {
    let meant = nearest(name.text, NAMES).map(|name| format!("did you mean `{name}`?"));
    let kind = AsmErrorKind::Unknown { class: "directive", word: shown(name.text) };
    Fault::new(name.span.clone(), kind).help(meant)
}

fn model(line: &mut Cursor<'_>) -> Result<Directive, Fault> {
    Ok(Directive::Model(ModelEntry {
        name: text(line, "name")?,
        macs: next_u64(line, "macs")?,
        parameters: next_u64(line, "parameters")?,
        weight_bytes: next_u64(line, "weight_bytes")?,
        batch: next_u64(line, "batch")?,
    }))
}

fn dram(line: &mut Cursor<'_>) -> Result<Directive, Fault> {
    u64_field(line, "bytes").map(Directive::Dram)
}

fn layer(line: &mut Cursor<'_>) -> Result<Directive, Fault> {
    Ok(Directive::Layer(LayerEntry {
        name: text(line, "name")?,
        nodes: {
            next(line, "nodes")?;
            line.list(['[', ']'], true, Cursor::text)?
        },
        op: next_text(line, "op")?,
        macs: next_u64(line, "macs")?,
        weight_bits: {
            next(line, "weight_bits")?;
            integer(&line.word("a number")?, "weight_bits", 0, i128::from(u32::MAX))? as u32
        },
        compulsory_bytes: next_u64(line, "compulsory_bytes")?,
        mapping: next_text(line, "mapping")?,
    }))
}

fn tensor(line: &mut Cursor<'_>) -> Result<Directive, Fault> {
    Ok(Directive::Tensor(Box::new(TensorEntry {
        name: text(line, "name")?,
        shape: {
            next(line, "shape")?;
            line.list(['[', ']'], true, |line| u64_value(line, "shape"))?
        },
        dims: {
            next(line, "dims")?;
            dims(line)?
        },
        element: next_named(line, "element", ELEMENTS)?,
        role: next_named(line, "role", ROLES)?,
        layout: next_named(line, "layout", LAYOUTS)?,
        address: next_u64(line, "address")?,
        pixel_pitch: next_u64(line, "pixel_pitch")?,
        row_pitch: next_u64(line, "row_pitch")?,
        image_pitch: next_u64(line, "image_pitch")?,
        scale: {
            next(line, "scale")?;
            real(&line.word("a value")?)?
        },
        zero_point: {
            next(line, "zero_point")?;
            let (low, high) = (i128::from(i32::MIN), i128::from(i32::MAX));
            integer(&line.word("a value")?, "zero_point", low, high)? as i32
        },
        float_name: if line.at_mark(',') { Some(next_text(line, "float_name")?) } else { None },
    })))
}

/// `[n, c, h, w]`.
fn dims(line: &mut Cursor<'_>) -> Result<[u64; 4], Fault> {
    let mut dims = [0; 4];
    line.mark('[')?;
    for (index, extent) in dims.iter_mut().enumerate() {
        if index > 0 {
            line.mark(',')?;
        }
        *extent = u64_value(line, "dims")?;
    }
    line.mark(']')?;
    Ok(dims)
}

fn image(line: &mut Cursor<'_>) -> Result<Directive, Fault> {
    u64_field(line, "address").map(Directive::Image)
}

fn bytes(line: &mut Cursor<'_>) -> Result<Directive, Fault> {
    let mut bytes = Vec::new();
    while line.peek().is_some() {
        let word = line.word("a row of hexadecimal digits")?;
        let fault = || Fault::new(word.span.clone(), AsmErrorKind::Bytes(shown(word.text)));
        let (pairs, rest) = word.text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(fault());
        }
        for pair in pairs {
            bytes.push(byte(*pair).ok_or_else(fault)?);
        }
    }
    Ok(Directive::Bytes(bytes))
}

fn byte([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

fn layer_of(line: &mut Cursor<'_>) -> Result<Directive, Fault> {
    line.field("layer")?;
    if line.at_word("none") {
        line.word("none")?;
        return Ok(Directive::In(u32::MAX));
    }
    // The largest u32 is what the source map holds for no layer.
    let index = integer(&line.word("a layer's number or `none`")?, "layer", 0, i128::from(u32::MAX - 1))?;
    Ok(Directive::In(index as u32))
}

/// `, name=`.
fn next(line: &mut Cursor<'_>, name: &str) -> Result<(), Fault> {
    line.mark(',')?;
    line.field(name)
}

fn text(line: &mut Cursor<'_>, name: &str) -> Result<String, Fault> {
    line.field(name)?;
    line.text()
}

fn next_text(line: &mut Cursor<'_>, name: &str) -> Result<String, Fault> {
    next(line, name)?;
    line.text()
}

fn u64_value(line: &mut Cursor<'_>, name: &str) -> Result<u64, Fault> {
    integer(&line.word("a number")?, name, 0, i128::from(u64::MAX)).map(|value| value as u64)
}

fn u64_field(line: &mut Cursor<'_>, name: &str) -> Result<u64, Fault> {
    line.field(name)?;
    u64_value(line, name)
}

fn next_u64(line: &mut Cursor<'_>, name: &str) -> Result<u64, Fault> {
    next(line, name)?;
    u64_value(line, name)
}

fn next_named<T: Copy>(line: &mut Cursor<'_>, name: &str, words: &[(&str, T)]) -> Result<T, Fault> {
    next(line, name)?;
    named(&line.word("a value")?, words)
}
