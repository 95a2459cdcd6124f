//! Examples as text: a heading, some words, and a block of lines `name  hex`, which a stranger's program can read too.

use std::fmt::Write as _;

/// One heading of the appendix.
pub struct Section {
    /// `A.n`.
    pub number: &'static str,
    pub title: &'static str,
    pub words: &'static str,
    pub values: Vec<(String, Vec<u8>)>,
}

impl Section {
    pub fn new(number: &'static str, title: &'static str, words: &'static str) -> Section {
        Section {
            number,
            title,
            words,
            values: Vec::new(),
        }
    }

    pub fn add(&mut self, name: impl Into<String>, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.values.push((name.into(), bytes.as_ref().to_vec()));
        self
    }
}

/// The value with this name; a missing one is the test's fault.
pub fn find(sections: &[Section], number: &str, name: &str) -> Vec<u8> {
    let section = sections.iter().find(|section| section.number == number);
    let value = section.and_then(|section| section.values.iter().find(|(known, _)| known == name));
    value
        .unwrap_or_else(|| panic!("there is no example {number} {name}"))
        .1
        .clone()
}

/// Bytes in a line.
const LINE: usize = 32;
/// Where the bytes begin.
const COLUMN: usize = 32;

pub fn render(sections: &[Section]) -> String {
    let mut page = String::new();
    for section in sections {
        let words = wrap(section.words);
        let _ = write!(page, "\n### {} {}\n\n{words}\n```text\n", section.number, section.title);
        for (name, bytes) in &section.values {
            assert!(name.len() + 2 <= COLUMN && !bytes.is_empty(), "{name}");
            for (line, bytes) in bytes.chunks(LINE).enumerate() {
                let name = if line == 0 { name } else { "" };
                let _ = write!(page, "{name:<COLUMN$}");
                for byte in bytes {
                    let _ = write!(page, "{byte:02x}");
                }
                page.push('\n');
            }
        }
        page.push_str("```\n");
    }
    page.push('\n');
    page
}

/// Lines of at most 120 characters.
fn wrap(words: &str) -> String {
    let mut text = String::new();
    let mut room = 0;
    for word in words.split_whitespace() {
        if word.len() < room {
            text.push(' ');
            room -= word.len() + 1;
        } else {
            if !text.is_empty() {
                text.push('\n');
            }
            room = 120usize.saturating_sub(word.len());
        }
        text.push_str(word);
    }
    text.push('\n');
    text
}
