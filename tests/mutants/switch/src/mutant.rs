//! A mutant as cargo-mutants lists it, and text with its places.

use serde_json::Value;

/// What kind of change it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Genre {
    /// A function gives back a fixed value at once.
    FnValue,
    BinaryOperator,
    /// `!` or `-` is taken out.
    UnaryOperator,
    /// An arm of a `match` is taken out.
    MatchArm,
    /// The guard of an arm is `true` or `false`.
    MatchArmGuard,
    /// A field is taken out of a struct expression that has a base.
    StructField,
}

/// One change of one place.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// By which it is switched on: its place in the list.
    pub number: usize,
    pub genre: Genre,
    /// Where the text that it replaces begins and ends, in bytes of the file.
    pub start: usize,
    pub end: usize,
    pub replacement: String,
}

/// The text of a file, and where its lines begin.
pub struct Source<'a> {
    pub text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Source { text, lines }
    }

    /// The byte at a line, counted from 1, and a column in characters, counted from 0.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.lines[line - 1];
        let rest = &self.text[start..];
        start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
    }

    /// The bytes that a piece of syntax takes.
    pub fn range(&self, syntax: &impl syn::spanned::Spanned) -> (usize, usize) {
        let span = syntax.span();
        let (start, end) = (span.start(), span.end());
        (self.offset(start.line, start.column), self.offset(end.line, end.column))
    }
}

impl Mutant {
    /// Reads one of the list; its file is `source`.
    pub fn read(number: usize, listed: &Value, source: &Source) -> Result<Self, String> {
        let genre = match listed["genre"].as_str() {
            Some("FnValue") => Genre::FnValue,
            Some("BinaryOperator") => Genre::BinaryOperator,
            Some("UnaryOperator") => Genre::UnaryOperator,
            Some("MatchArm") => Genre::MatchArm,
            Some("MatchArmGuard") => Genre::MatchArmGuard,
            Some("StructField") => Genre::StructField,
            other => return Err(format!("cargo-mutants has a genre that is not known here: {other:?}")),
        };
        let place = |which: &str| {
            let of = |what: &str| listed["span"][which][what].as_u64().map(|n| n as usize);
            let (line, column) = of("line").zip(of("column")).ok_or("a mutant without a span")?;
            Ok::<_, String>(source.offset(line, column - 1))
        };
        let replacement = listed["replacement"].as_str().ok_or("a mutant without a replacement")?;
        Ok(Mutant {
            number,
            genre,
            start: place("start")?,
            end: place("end")?,
            replacement: replacement.to_owned(),
        })
    }
}
