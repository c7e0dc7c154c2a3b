//! Line after line: what each adds to the program, and at the end what only the whole text can tell.

use super::cursor::Cursor;
use super::directive::{Directive, directive};
use super::error::{AsmError, AsmErrorKind, Fault, shown};
use super::lexer::{Source, quoted, skip_blank, span_of, tokens};
use super::operation::instruction;
use crate::program::check::{Flaw, Misplaced, flaws};
use crate::program::{LayerEntry, ModelEntry, Program, Segment};
use nom::bytes::complete::take_till;
use nom::character::complete::char;
use nom::{IResult, Parser};
use std::ops::Range;

/// Where something was stated.
#[derive(Clone, Debug)]
struct Place {
    span: Range<usize>,
    line: usize,
    line_start: usize,
}

/// The program so far, and what is needed to judge the rest.
struct Listing<'a> {
    text: &'a str,
    program: Program,
    errors: Vec<AsmError>,
    /// Whether `|` may continue the machine.
    in_machine: bool,
    /// Lines of YAML so far.
    machine_lines: usize,
    /// Whether `.bytes` may continue a segment.
    in_image: bool,
    /// The layer of the next instruction.
    layer: u32,
    /// Lines of the directives that stand once: `.machine`, `.model`, `.dram`.
    once: [Option<usize>; 3],
    /// The layers that `.in` lines name.
    layers_used: Vec<(u32, Place)>,
    segments: Vec<Place>,
    tensors: Vec<Place>,
    /// Whether segments could not all be placed, so that their order says nothing.
    image_damaged: bool,
}

/// See [`super::assemble`].
pub(super) fn assemble(text: &str) -> Result<Program, Vec<AsmError>> {
    let mut listing = Listing::new(text);
    let mut rest = Source::new(text);
    loop {
        let split: IResult<Source<'_>, Source<'_>> = take_till(|c| c == '\n').parse(rest);
        let Ok((after, line)) = split else { break };
        listing.line(line);
        let newline: IResult<Source<'_>, char> = char('\n').parse(after);
        let Ok((after, _)) = newline else { break };
        rest = after;
    }
    listing.finish()
}

impl<'a> Listing<'a> {
    fn new(text: &'a str) -> Self {
        Listing {
            text,
            program: Program {
                machine_yaml: String::new(),
                model: ModelEntry::default(),
                dram_bytes: 0,
                instructions: Vec::new(),
                source: Vec::new(),
                layers: Vec::new(),
                image: Vec::new(),
                tensors: Vec::new(),
            },
            errors: Vec::new(),
            in_machine: false,
            machine_lines: 0,
            in_image: false,
            layer: u32::MAX,
            once: [None; 3],
            layers_used: Vec::new(),
            segments: Vec::new(),
            tensors: Vec::new(),
            image_damaged: false,
        }
    }

    fn line(&mut self, line: Source<'a>) {
        let mut place =
            Place { span: span_of(&line), line: line.location_line() as usize, line_start: line.location_offset() };
        let content = skip_blank(line);
        if content.fragment().starts_with('|') {
            return self.machine_line(content, &place);
        }
        let tokens = match tokens(content) {
            Ok(tokens) if tokens.is_empty() => return,
            Ok(tokens) => tokens,
            Err(fault) => return self.fault(fault, &place),
        };
        let mut cursor = Cursor::new(tokens);
        place.span = cursor.span();
        let in_image = std::mem::take(&mut self.in_image);
        self.in_machine = false;
        let first = match cursor.word("a mnemonic or a directive") {
            Ok(first) => first,
            Err(fault) => return self.fault(fault, &place),
        };
        if !first.text.starts_with('.') {
            match instruction(&first, &mut cursor) {
                Ok(instruction) => {
                    self.program.instructions.push(instruction);
                    self.program.source.push(self.layer);
                }
                Err(faults) => faults.into_iter().for_each(|fault| self.fault(fault, &place)),
            }
            return;
        }
        match directive(&first, &mut cursor) {
            Ok(directive) => self.directive(directive, place, in_image),
            Err(fault) => self.damaged(first.text, fault, &place),
        }
    }

    /// A line of the machine's YAML: `| ` and the line as it is, or `|` and a quoted text.
    fn machine_line(&mut self, content: Source<'a>, place: &Place) {
        let bar = content.location_offset();
        if !self.in_machine {
            return self.fault(Fault::new(bar..bar + 1, AsmErrorKind::Continues { needs: ".machine" }), place);
        }
        let written = &content.fragment()[1..];
        let written = written.strip_suffix('\r').unwrap_or(written);
        let line = if written.is_empty() {
            String::new()
        } else if let Some(line) = written.strip_prefix(' ') {
            line.to_owned()
        } else {
            match quoted_line(content) {
                Ok(line) => line,
                Err(fault) => return self.fault(fault, place),
            }
        };
        if self.machine_lines > 0 {
            self.program.machine_yaml.push('\n');
        }
        self.machine_lines += 1;
        self.program.machine_yaml.push_str(&line);
    }

    fn directive(&mut self, directive: Directive, place: Place, in_image: bool) {
        match directive {
            Directive::Machine => {
                self.in_machine = true;
                self.once(0, ".machine", &place);
            }
            Directive::Model(model) => {
                self.program.model = model;
                self.once(1, ".model", &place);
            }
            Directive::Dram(bytes) => {
                self.program.dram_bytes = bytes;
                self.once(2, ".dram", &place);
            }
            Directive::Layer(layer) => self.program.layers.push(layer),
            Directive::Tensor(tensor) => {
                self.program.tensors.push(*tensor);
                self.tensors.push(place);
            }
            Directive::Image(address) => {
                self.program.image.push(Segment { address, bytes: Vec::new() });
                self.segments.push(place);
                self.in_image = true;
            }
            Directive::Bytes(bytes) => match self.program.image.last_mut() {
                Some(segment) if in_image => {
                    segment.bytes.extend(bytes);
                    self.in_image = true;
                }
                _ => self.fault(Fault::new(place.span.clone(), AsmErrorKind::Continues { needs: ".image" }), &place),
            },
            Directive::In(layer) => {
                self.layer = layer;
                if layer != u32::MAX {
                    self.layers_used.push((layer, place));
                }
            }
        }
    }

    fn once(&mut self, index: usize, directive: &'static str, place: &Place) {
        match self.once[index] {
            None => self.once[index] = Some(place.line),
            Some(first) => self.fault(Fault::new(place.span.clone(), AsmErrorKind::Twice { directive, first }), place),
        }
    }

    /// Reports a directive's fault, and puts in its place what keeps the checks of the whole text from complaining of its absence.
    fn damaged(&mut self, name: &str, fault: Fault, place: &Place) {
        self.fault(fault, place);
        match name {
            ".machine" => self.in_machine = true,
            ".dram" => self.program.dram_bytes = u64::MAX,
            ".layer" => self.program.layers.push(LayerEntry {
                name: String::new(),
                nodes: Vec::new(),
                op: String::new(),
                macs: 0,
                weight_bits: 0,
                compulsory_bytes: 0,
                mapping: String::new(),
            }),
            ".image" | ".bytes" => {
                self.image_damaged = true;
                self.program.image.push(Segment { address: 0, bytes: Vec::new() });
                self.segments.push(place.clone());
                self.in_image = true;
            }
            _ => {}
        }
    }

    fn fault(&mut self, fault: Fault, place: &Place) {
        self.errors.push(fault.at(self.text, place.line, place.line_start));
    }

    fn finish(mut self) -> Result<Program, Vec<AsmError>> {
        let layers = self.program.layers.len();
        for (layer, place) in std::mem::take(&mut self.layers_used) {
            if layer as usize >= layers {
                self.fault(Fault::new(place.span.clone(), AsmErrorKind::Layer { layer, layers }), &place);
            }
        }
        for flaw in flaws(&self.program).collect::<Vec<_>>() {
            self.flaw(&flaw);
        }
        if self.errors.is_empty() {
            return Ok(self.program);
        }
        self.errors.sort_by_key(|error| error.span.start);
        Err(self.errors)
    }

    fn flaw(&mut self, flaw: &Flaw) {
        let (what, place, found) = match *flaw {
            Flaw::Segment { place: Misplaced::Overlap, .. } if self.image_damaged => return,
            Flaw::Segment { segment, place } => ("segment", place, self.segments.get(segment)),
            Flaw::Tensor { tensor, place } => ("tensor", place, self.tensors.get(tensor)),
            // One entry is pushed with each instruction; layers were checked where `.in` names them.
            Flaw::SourceLength { .. } | Flaw::SourceLayer { .. } => return,
        };
        let Some(stated) = found.cloned() else { return };
        let kind = AsmErrorKind::Misplaced { what, place };
        self.fault(Fault::new(stated.span.clone(), kind), &stated);
    }
}

/// The text after `|`, alone on its line.
fn quoted_line(content: Source<'_>) -> Result<String, Fault> {
    let after: IResult<Source<'_>, char> = char('|').parse(content);
    let Some((text, _)) = after.ok().filter(|(text, _)| text.fragment().starts_with('"')) else {
        let place = content.location_offset() + 1;
        let found = content.fragment().chars().nth(1).map_or_else(String::new, |c| shown(&c.to_string()));
        let kind = AsmErrorKind::Expected {
            expected: "a space and a line of YAML, or a text in `\"`".into(),
            found: format!("`{found}`"),
        };
        return Err(Fault::new(place..place, kind));
    };
    let (rest, line) = quoted(text)?;
    Cursor::new(tokens(rest)?).finish("the end of the line").map(|()| line)
}
