//! Finds the fenced code blocks of a Markdown file. Used by the build script and by the tests.

/// One block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the opening fence: `rust,no_run`, `sh`, `text`.
    pub language: String,
    /// The line of the opening fence, from 1.
    pub line: usize,
    pub code: String,
}

impl Block {
    /// The language without its attributes.
    pub fn name(&self) -> &str {
        self.language.split(',').next().unwrap_or_default()
    }
}

/// All blocks, in order. A fence is a line of three backticks, indented or not; an unclosed one reaches to the end.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (line, text) in markdown.lines().enumerate() {
        match (open, text.trim_start().strip_prefix("```")) {
            (false, Some(language)) => {
                found.push(Block {
                    language: language.trim().into(),
                    line: line + 1,
                    code: String::new(),
                });
                open = true;
            }
            (true, Some("")) => open = false,
            (true, _) => {
                if let Some(block) = found.last_mut() {
                    block.code.push_str(text);
                    block.code.push('\n');
                }
            }
            (false, None) => {}
        }
    }
    found
}

/// The folders that hold documents, below the repository's root.
pub const FOLDERS: [&str; 11] = [
    "",
    "docs",
    "bindings/tokio",
    "bindings/store",
    "bindings/c",
    "bindings/unity",
    "bindings/unity/Documentation~",
    "bindings/uniffi",
    "bindings/python",
    "bindings/kotlin",
    "bindings/swift",
];

/// The documents of a repository: the Markdown files in [`FOLDERS`], in order.
pub fn documents(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "md") {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
