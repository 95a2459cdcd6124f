//! `unbroken-api-text JSON`: the public API that rustdoc's JSON describes, one item a line.
//!
//! The JSON has hidden items, too: without them rustdoc forgets what a crate shows at its root and defines in a hidden module. So what is hidden is left out here:
//!
//! - an item that is marked so, and what has only the path of a hidden module: what the root shows has the root's path here, wherever it is defined;
//! - implementations of unstable traits that the compiler adds, which nobody can name. Blanket ones follow from what stands there.
//!
//! `Send` and `Sync` stay: that a type is no longer `Send` is a change of the API that no line of code shows.

#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::error::Error;

use serde_json::Value;

/// Added by the compiler, unstable.
const UNNAMEABLE: [&str; 4] = [
    "core::clone::TrivialClone",
    "core::marker::Freeze",
    "core::marker::StructuralPartialEq",
    "core::marker::UnsafeUnpin",
];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: unbroken-api-text JSON")?;
    let hidden = Hidden::of(&serde_json::from_slice(&std::fs::read(&path)?)?)?;
    let api = public_api::Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .build()?;
    let mut told = HashSet::new();
    for item in api.items() {
        let line = hidden.shown(&item.to_string());
        if !hidden.hides(item.id().0, &line) && told.insert(line.clone()) {
            println!("{line}");
        }
    }
    Ok(())
}

struct Hidden {
    items: BTreeSet<u32>,
    /// How paths begin that lead through a hidden module.
    paths: Vec<String>,
    /// Paths of what the root shows: where it is defined, and at the root.
    at_root: HashMap<String, String>,
}

impl Hidden {
    fn of(json: &Value) -> Result<Hidden, Box<dyn Error>> {
        let mut hidden = Hidden {
            items: BTreeSet::new(),
            paths: Vec::new(),
            at_root: HashMap::new(),
        };
        for (id, item) in json["index"].as_object().ok_or("the JSON has no index")? {
            if !item["attrs"].to_string().contains("#[doc(hidden)]") {
                continue;
            }
            hidden.items.insert(id.parse()?);
            if item["inner"]["module"].is_object() {
                hidden.paths.push(path_of(json, id).ok_or("a module without a path")?);
            }
        }
        let index = &json["index"];
        let root = &index[json["root"].to_string()];
        for id in root["inner"]["module"]["items"]
            .as_array()
            .ok_or("the root has no items")?
        {
            let shown = &index[id.to_string()]["inner"]["use"];
            let (Some(name), Some(path)) = (shown["name"].as_str(), path_of(json, &shown["id"].to_string())) else {
                continue;
            };
            let crate_name = root["name"].as_str().ok_or("the root has no name")?;
            hidden.at_root.insert(path, format!("{crate_name}::{name}"));
        }
        Ok(hidden)
    }

    /// The line, with what the root shows named by the root's path.
    fn shown(&self, line: &str) -> String {
        let mut words = Vec::new();
        let mut rest = line;
        while let Some(at) = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let (word, behind) = rest.split_at(at);
            let separator = behind.chars().next().map_or(0, char::len_utf8);
            words.push(self.at_the_root(word));
            words.push(behind[..separator].to_owned());
            rest = &behind[separator..];
        }
        words.push(self.at_the_root(rest));
        words.concat()
    }

    fn at_the_root(&self, word: &str) -> String {
        let mut ends = word.match_indices("::").map(|(at, _)| at).chain([word.len()]);
        ends.find_map(|end| Some(self.at_root.get(&word[..end])?.clone() + &word[end..]))
            .unwrap_or_else(|| word.to_owned())
    }

    fn hides(&self, id: u32, line: &str) -> bool {
        let words = || line.split([' ', '(', ')', '<', '>', ',', '&', '!']);
        let through = |word: &str| {
            let under = |rest: &str| rest.is_empty() || rest.starts_with("::");
            self.paths
                .iter()
                .any(|path| word.strip_prefix(path.as_str()).is_some_and(under))
        };
        if line.starts_with("impl") {
            return words().any(|word| through(word) || UNNAMEABLE.contains(&word));
        }
        // The item's own path is the first one; what else the line names belongs to its type.
        self.items.contains(&id)
            || words().find(|word| word.contains("::")).is_some_and(through)
            || line.strip_prefix("pub mod ").is_some_and(through)
    }
}

fn path_of(json: &Value, id: &str) -> Option<String> {
    let path: Vec<&str> = json["paths"][id]["path"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    Some(path.join("::"))
}
