//! Writes a file with one item per Rust block of the documents, the block as its documentation: so rustdoc runs it as a test.

#[allow(dead_code)]
#[path = "src/fences.rs"]
mod fences;

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/fences.rs");
    // Documents that come into being must be noticed, too. (Not the root itself: every build writes there.)
    println!("cargo:rerun-if-changed={}", root.join("docs").display());
    println!("cargo:rerun-if-changed={}", root.join("README.md").display());
    let mut items = String::new();
    for document in fences::documents(&root) {
        println!("cargo:rerun-if-changed={}", document.display());
        let text = std::fs::read_to_string(&document).expect("a readable document");
        // `docs/PROTOCOL.md` becomes `docs_protocol_md_line_12`, which is what a failing test is called.
        let name = document
            .strip_prefix(&root)
            .unwrap_or(&document)
            .to_string_lossy()
            .to_lowercase();
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        for block in fences::blocks(&text).iter().filter(|block| block.name() == "rust") {
            let example = format!("```{}\n{}```\n", block.language, block.code);
            let _ = writeln!(items, "#[doc = {example:?}]\npub mod {name}_line_{} {{}}", block.line);
        }
    }
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join("blocks.rs"), items).expect("the output folder can be written");
}
