//! Every code block says what it is, and the commands in the documents can be typed as they stand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use unbroken_docs::fences::{Block, blocks, documents};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All blocks with a name for messages: `docs/PROTOCOL.md:12`.
fn all() -> Vec<(String, Block)> {
    let root = root();
    let mut found = Vec::new();
    for document in documents(&root) {
        let text = std::fs::read_to_string(&document).expect("a readable document");
        let name = document.strip_prefix(&root).unwrap_or(&document).display().to_string();
        found.extend(
            blocks(&text)
                .into_iter()
                .map(|block| (format!("{name}:{}", block.line), block)),
        );
    }
    found
}

const LANGUAGES: [&str; 12] = [
    "rust", "csharp", "yaml", "sh", "json", "toml", "text", "kotlin", "swift", "python", "xml", "c",
];

/// What other parts of tests/run compile, or run, is looked for there and nowhere else: the document, and which blocks of it.
const ELSEWHERE: [(&str, &str, usize); 4] = [
    // tests/bindings/documents
    ("kotlin", "docs/ANDROID.md", 1),
    ("swift", "docs/IOS.md", 1),
    ("python", "docs/PYTHON.md", 1),
    // tests/c/run
    ("c", "bindings/c/README.md", 2),
];

#[test]
fn every_block_says_what_it_is() {
    let all = all();
    assert!(all.len() > 10, "the documents have more than {} blocks", all.len());
    for (place, block) in all {
        assert!(
            LANGUAGES.contains(&block.name()),
            "{place}: a block of `{}`; say one of {LANGUAGES:?}",
            block.language
        );
    }
}

#[test]
fn blocks_of_other_languages_are_where_their_parts_look_for_them() {
    for (language, document, count) in ELSEWHERE {
        let places: Vec<_> = all()
            .into_iter()
            .filter(|(_, block)| block.name() == language)
            .collect();
        assert_eq!(places.len(), count, "{language}: {places:?}");
        for (place, _) in places {
            assert!(
                place.starts_with(document),
                "{place}: nobody compiles `{language}` there"
            );
        }
    }
    // tests/unity/run example
    for (place, block) in all().iter().filter(|(_, block)| block.name() == "csharp") {
        let named = block.language.starts_with("csharp,file=") && place.starts_with("docs/UNITY.md");
        assert!(named, "{place}: nobody compiles `{}` there", block.language);
    }
}

/// The build script saw what is there now.
#[test]
fn every_rust_block_becomes_a_documentation_test() {
    let items = include_str!(concat!(env!("OUT_DIR"), "/blocks.rs"));
    let blocks = all().iter().filter(|(_, block)| block.name() == "rust").count();
    assert_eq!(items.matches("\npub mod ").count(), blocks);
}

#[test]
fn json_and_toml_are_well_formed() {
    for (place, block) in all() {
        match block.name() {
            "json" => {
                let parsed = serde_json::from_str::<serde_json::Value>(&block.code);
                assert!(parsed.is_ok(), "{place}: {parsed:?}");
            }
            // Enough for dependency tables: headings, comments and `name = value`.
            "toml" => {
                for line in block.code.lines().map(str::trim).filter(|line| !line.is_empty()) {
                    let good =
                        line.starts_with(['#', '[']) || line.split_once(" = ").is_some_and(|(_, v)| !v.is_empty());
                    assert!(good, "{place}: `{line}`");
                }
            }
            _ => {}
        }
    }
}

#[test]
fn commands_exist() {
    let workspace = Workspace::read();
    let mut checked = 0;
    for (place, block) in all().iter().filter(|(_, block)| block.name() == "sh") {
        for command in commands(&block.code) {
            if let Err(problem) = workspace.check(&command) {
                panic!("{place}: `{command}`: {problem}");
            }
            checked += 1;
        }
    }
    assert!(checked > 0, "no document has a command");
}

/// The checks themselves notice what is wrong.
#[test]
fn wrong_commands_are_noticed() {
    let workspace = Workspace::read();
    for good in [
        "cargo test -p unbroken",
        "UNBROKEN_BLESS=1 cargo test --test protocol",
        "cargo build --package unbroken-stranger-server",
        "tests/stranger/run --seed 7",
    ] {
        assert_eq!(workspace.check(good), Ok(()), "{good}");
    }
    for bad in [
        "cargo test -p unbrokn",
        "cargo run --example no-such-example",
        "cargo test --test nothing",
        "cargo frobnicate",
        "tests/no-such-script",
        "frobnicate --all",
        "python3 tests/stranger/no.py",
        "cargo",
    ] {
        assert!(workspace.check(bad).is_err(), "{bad}");
    }
    assert_eq!(
        commands("# words\n$ one \\\n    two\n\nthree | four && five  # words\n"),
        ["one two", "three", "four", "five"]
    );
}

/// The commands of a block: comments and prompts off, continued lines joined, pipes and lists taken apart.
fn commands(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in code.replace("\\\n", " ").lines() {
        let line = line.trim().trim_start_matches("$ ");
        let line = if line.starts_with('#') {
            ""
        } else {
            line.split(" #").next().unwrap_or_default()
        };
        for command in line.split(" && ").flat_map(|part| part.split(" | ")) {
            let words: Vec<&str> = command.split_whitespace().collect();
            if !words.is_empty() {
                found.push(words.join(" "));
            }
        }
    }
    found
}

/// What cargo knows by name: packages, and targets as `example handover`.
struct Workspace {
    packages: BTreeSet<String>,
    targets: BTreeSet<(String, String)>,
    root: PathBuf,
}

impl Workspace {
    fn read() -> Workspace {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata");
        let (mut packages, mut targets) = (BTreeSet::new(), BTreeSet::new());
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
        for package in metadata["packages"].as_array().expect("packages") {
            packages.insert(text(&package["name"]));
            for target in package["targets"].as_array().expect("targets") {
                for kind in target["kind"].as_array().expect("kinds") {
                    targets.insert((text(kind), text(&target["name"])));
                }
            }
        }
        Workspace {
            packages,
            targets,
            root: root(),
        }
    }

    fn check(&self, command: &str) -> Result<(), String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let start = words.iter().position(|word| !word.contains('=')).ok_or("no command")?;
        let (program, arguments) = (words[start], &words[start + 1..]);
        match program {
            "cargo" => self.check_cargo(arguments)?,
            "git" | "cc" | "cd" | "python3" | "pip" | "curl" | "openssl" | "rustup" | "gradle" => {}
            _ if program.contains('/') && !program.starts_with('/') => {
                self.exists(program)?;
            }
            _ => return Err("not a command that the documents may use; see tests/docs/tests/commands.rs".into()),
        }
        if program == "python3" && arguments.first() != Some(&"-m") {
            let script = arguments
                .iter()
                .find(|argument| !argument.starts_with('-'))
                .ok_or("no script")?;
            self.exists(script)?;
        }
        Ok(())
    }

    fn check_cargo(&self, arguments: &[&str]) -> Result<(), String> {
        let known = [
            "add", "bench", "build", "clippy", "doc", "fmt", "fuzz", "install", "run", "test",
        ];
        let verb = arguments
            .iter()
            .find(|argument| !argument.starts_with(['-', '+']))
            .ok_or("no verb")?;
        if !known.contains(verb) {
            return Err(format!("no cargo verb `{verb}` among {known:?}"));
        }
        if ["add", "fuzz", "install"].contains(verb) {
            return Ok(());
        }
        let own = arguments.split(|argument| *argument == "--").next().unwrap_or_default();
        for pair in own.windows(2) {
            let name = pair[1].to_string();
            let found = match pair[0] {
                "-p" | "--package" => self.packages.contains(&name),
                "--example" | "--bin" | "--test" | "--bench" => self.targets.contains(&(pair[0][2..].into(), name)),
                _ => true,
            };
            if !found {
                return Err(format!("there is no {} `{}`", pair[0].trim_start_matches('-'), pair[1]));
            }
        }
        Ok(())
    }

    fn exists(&self, path: &str) -> Result<(), String> {
        match self.root.join(path).exists() {
            true => Ok(()),
            false => Err(format!("there is no file `{path}`")),
        }
    }
}
