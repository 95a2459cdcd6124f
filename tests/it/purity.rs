//! The core is pure: no clock, no socket, no thread, no randomness but its seed, no unsafe code. `no_std` and `forbid(unsafe_code)` have
//! the compiler enforce most of that; this looks that both stand there, and for what could come back by a dependency or an
//! `extern crate`.

use std::path::Path;

use crate::{files, read, root};

/// What must not stand in code that ships. Each was used for real in some sans-IO crate that promised not to.
const FORBIDDEN: &[&str] = &[
    "std::",
    "extern crate std",
    "Instant::now",
    "SystemTime",
    "UNIX_EPOCH",
    "thread",
    "TcpStream",
    "UdpSocket",
    "Mutex",
    "getrandom",
    "OsRng",
    "ThreadRng",
    "rand::",
    "static mut",
    "lazy_static",
    "OnceCell",
    "OnceLock",
    "unsafe",
    "println!",
    "dbg!",
    "todo!",
    "unimplemented!",
];

/// The code of a file without comments and without tests, line by line with its number. House style: a module of tests stands last.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
}

fn offences(text: &str) -> Vec<String> {
    code(text)
        .flat_map(|(number, line)| {
            let hit = |word: &&&str| line.contains(**word) && !line.contains("forbid(unsafe_code)");
            FORBIDDEN
                .iter()
                .filter(hit)
                .map(move |word| format!("line {number}: `{word}`"))
        })
        .collect()
}

fn shipped(path: &Path) -> bool {
    // The AWS-LC backend is C and std by its nature, and off unless it is asked for.
    !path.iter().any(|part| part == "tests") && !path.ends_with("aws_lc.rs") && !path.ends_with("tests.rs")
}

#[test]
fn nothing_in_src_reaches_outside() {
    let sources: Vec<_> = files(&root().join("src"), ".rs")
        .into_iter()
        .filter(|path| shipped(path.strip_prefix(root()).unwrap_or(path)))
        .collect();
    assert!(
        sources.len() > 40,
        "only {} files found: looking in the wrong place?",
        sources.len()
    );
    let mut found = Vec::new();
    for path in &sources {
        let file = path.strip_prefix(root()).unwrap_or(path).display();
        found.extend(offences(&read(path)).iter().map(|offence| format!("{file}, {offence}")));
    }
    assert!(found.is_empty(), "impure:\n{}", found.join("\n"));
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert_eq!(offences("let now = std::time::Instant::now();").len(), 2);
    assert_eq!(offences("use core::time::Duration; // unlike std::time").len(), 0);
    assert_eq!(offences("unsafe { danger() }").len(), 1);
    assert_eq!(
        offences("fn a() {}\n\n#[cfg(test)]\nmod tests { use std::vec::Vec; }").len(),
        0
    );
}

#[test]
fn the_compiler_is_told_to_enforce_it() {
    let lib = read(&root().join("src/lib.rs"));
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        assert!(
            lib.lines().any(|line| line == attribute),
            "src/lib.rs lacks {attribute}"
        );
    }
}

/// A dependency that is allowed `std` could read a clock for us.
#[test]
fn no_dependency_of_the_core_brings_std() {
    let manifest = read(&root().join("Cargo.toml"));
    let dependencies = manifest
        .split("\n[dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next());
    let lines: Vec<_> = dependencies
        .expect("Cargo.toml has dependencies")
        .lines()
        .filter(|line| line.contains('=') && !line.starts_with('#'))
        .collect();
    assert!(lines.len() > 5);
    for line in lines {
        assert!(
            line.contains("default-features = false"),
            "with default features: {line}"
        );
        assert!(!line.contains("\"std\""), "with std: {line}");
    }
}

#[test]
fn files_stay_short_enough_to_read() {
    for path in files(&root().join("src"), ".rs") {
        let lines = read(&path).lines().count();
        assert!(
            lines <= 550,
            "{} has {lines} lines; split it by mechanism",
            path.display()
        );
    }
}
