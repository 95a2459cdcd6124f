//! Puts all of the mutants of the core into one copy of it, each behind a switch, so that all of them are compiled at once.
//!
//! `unbroken-mutants TREE COPY` reads from its standard input an object with `mutants`, the list that cargo-mutants makes of TREE, `without`, numbers
//! in it that get no switch, and `constant`, names of functions that must stay `const`. It writes the files that have mutants to COPY, and tells in a list
//! of what came of each mutant: `switched`, `no rust`, `no switch`.

#![forbid(unsafe_code)]

mod chain;
mod edit;
mod mutant;
mod place;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use mutant::{Mutant, Source};
use place::Fate;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tree, copy] = &arguments[..] else {
        return Err("unbroken-mutants TREE COPY".into());
    };
    let task: Value = serde_json::from_reader(std::io::stdin())?;
    let list = |name: &str| task[name].as_array().cloned().unwrap_or_default();
    let without: HashSet<usize> = list("without")
        .iter()
        .filter_map(Value::as_u64)
        .map(|n| n as usize)
        .collect();
    let constant = list("constant")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let listed = list("mutants");

    let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, mutant) in listed.iter().enumerate() {
        files
            .entry(mutant["file"].as_str().ok_or("a mutant without a file")?)
            .or_default()
            .push(number);
    }
    let mut told = vec!["no switch"; listed.len()];
    for (file, numbers) in files {
        let text = fs::read_to_string(Path::new(tree).join(file))?;
        let source = Source::new(&text);
        let chosen = numbers.iter().filter(|number| !without.contains(number));
        let mutants: Vec<Mutant> = chosen
            .map(|&n| Mutant::read(n, &listed[n], &source))
            .collect::<Result<_, _>>()?;
        let (edits, fates) = place::place(&source, &mutants, &constant).map_err(|error| format!("{file}: {error}"))?;
        for (mutant, fate) in mutants.iter().zip(fates) {
            told[mutant.number] = match fate {
                Fate::Switched => "switched",
                Fate::NoRust => "no rust",
                Fate::NoSwitch => "no switch",
            };
        }
        fs::write(Path::new(copy).join(file), edit::apply(&text, &edits))?;
    }
    println!("{}", json!(told));
    Ok(())
}
