//! What the documents say about the code is true.

use std::time::Duration;

use unbroken::Limits;

use crate::{files, read, root};

/// Every test that the README names as the proof of a guarantee exists.
#[test]
fn the_readme_names_tests_that_exist() {
    let readme = read(&root().join("README.md"));
    let section = section(&readme, "## What is guaranteed");
    let names: Vec<_> = code_words(section)
        .filter(|word| {
            word.contains('_')
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
        .collect();
    assert!(names.len() >= 8, "each guarantee has a test, found only {names:?}");
    let sources: String = ["src", "tests", "bindings", "examples", "fuzz"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), ".rs"))
        .map(|path| read(&path))
        .collect();
    for name in names {
        assert!(
            sources.contains(&format!("fn {name}(")),
            "the README names the test `{name}`, which does not exist"
        );
    }
    for guarantee in ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8"] {
        assert!(section.contains(guarantee), "{guarantee} is missing");
    }
}

/// The limits that the README tells are the defaults.
#[test]
fn the_readme_tells_the_default_limits() {
    let readme = read(&root().join("README.md"));
    let section = section(&readme, "## Limits");
    let limits = Limits::default();
    let bytes = |n: u32| match n {
        n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n.is_multiple_of(1 << 10) => format!("{} KiB", n >> 10),
        n => format!("{n} B"),
    };
    let count = |n: u32| {
        let digits = n.to_string();
        let groups: Vec<_> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| String::from_utf8_lossy(group))
            .collect();
        groups.join(",")
    };
    let time = |d: Duration| format!("{} s", d.as_secs());
    for (field, value) in [
        ("message", bytes(limits.message)),
        ("unacked_bytes", bytes(limits.unacked_bytes)),
        ("unacked_messages", count(limits.unacked_messages)),
        ("window_bytes", bytes(limits.window_bytes)),
        ("window_messages", count(limits.window_messages)),
        ("unreliable_bytes", bytes(limits.unreliable_bytes)),
        ("handshake", time(limits.handshake)),
        ("pending_handshakes", count(limits.pending_handshakes)),
        ("sessions", count(limits.sessions)),
        ("detached", time(limits.detached)),
        ("tombstone", time(limits.tombstone)),
        ("tombstones", count(limits.tombstones)),
    ] {
        let row = format!("| `{field}` | {value} |");
        assert!(section.contains(&row), "the README's table of limits lacks `{row}`");
    }
}

/// Links from one document to another, and to folders, lead somewhere.
#[test]
fn links_between_documents_lead_somewhere() {
    let mut checked = 0;
    let mut documents = files(&root().join("docs"), ".md");
    documents.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    for document in documents {
        let text = read(&document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") {
                continue;
            }
            let here = document.parent().unwrap_or(root());
            assert!(here.join(path).exists(), "{} links to {target}", document.display());
            checked += 1;
        }
    }
    assert!(checked > 5);
}

/// The folders that the architecture describes exist.
#[test]
fn the_architecture_describes_folders_that_exist() {
    let text = read(&root().join("docs/ARCHITECTURE.md"));
    let house = section(&text, "## The house");
    let listed: Vec<_> = house
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.ends_with('/') && !word.starts_with('`'))
        .collect();
    assert!(listed.len() >= 8, "{listed:?}");
    for folder in listed {
        assert!(root().join(folder).is_dir(), "docs/ARCHITECTURE.md describes {folder}");
    }
}

/// A section's text, up to the next heading of its rank.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text
        .split_once(heading)
        .unwrap_or_else(|| panic!("there is no `{heading}`"));
    rest.split("\n## ").next().unwrap_or(rest)
}

/// What stands between single backticks.
fn code_words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
