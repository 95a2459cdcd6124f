//! Each row of the fault table is named by a test somewhere in the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_path_buf()
}

/// The ids in the names of functions that stand behind `#[test]`.
fn named(source: &str, ids: &mut BTreeSet<String>) {
    let mut test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") {
            test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some(rest) = line.strip_prefix("async fn ").or(line.strip_prefix("fn "))
            && core::mem::take(&mut test)
        {
            ids_in(rest.split('(').next().unwrap_or_default(), ids);
        }
    }
}

/// The ids in the names of functions of a C program that are not only written, but called.
fn called(source: &str, ids: &mut BTreeSet<String>) {
    for line in source.lines() {
        if let Some((name, _)) = line.strip_prefix("static void ").and_then(|rest| rest.split_once('('))
            && source.contains(&format!("\n    {name}();"))
        {
            ids_in(name, ids);
        }
    }
}

fn ids_in(name: &str, ids: &mut BTreeSet<String>) {
    for part in name.split('_') {
        let (letter, number) = part.split_at(part.len().min(1));
        if ["f", "l"].contains(&letter) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
            ids.insert(format!("{}-{number}", letter.to_uppercase()));
        }
    }
}

fn walk(dir: &Path, ids: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                walk(&path, ids);
            }
        } else if name.ends_with(".rs") {
            named(&std::fs::read_to_string(&path).unwrap_or_default(), ids);
        } else if name.ends_with(".c") {
            called(&std::fs::read_to_string(&path).unwrap_or_default(), ids);
        }
    }
}

#[test]
fn every_row_has_a_test_that_names_it() {
    let list = include_str!("../../../../docs/FAULTS.md");
    let number = |line: &'static str| line.strip_prefix("| ")?.split(' ').next();
    let rows: Vec<&str> = list
        .lines()
        .filter_map(number)
        .filter(|row| row.contains('-'))
        .collect();
    assert_eq!(rows.len(), 27 + 74, "lessons, and faults");
    let mut ids = BTreeSet::new();
    walk(&root(), &mut ids);
    let missing: Vec<&&str> = rows.iter().filter(|row| !ids.contains(**row)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

#[test]
fn names_are_read_as_they_are_meant() {
    let mut ids = BTreeSet::new();
    named(
        "#[test]\nfn f1_l22_x() {}\nfn f3_helper() {}\n #[test]\n#[should_panic]\nfn a_f100() {}\n#[test]\nfn full_f_l() {}",
        &mut ids,
    );
    called(
        "static void f50_x(void) {}\nstatic void f51_y(void) {}\nint main(void) {\n    f50_x();\n}",
        &mut ids,
    );
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), ["F-1", "F-100", "F-50", "L-22"]);
}
