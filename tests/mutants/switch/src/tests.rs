//! A snippet and a mutant of it, for each kind of mutant: what the copy says.

use std::collections::HashSet;

use crate::edit::apply;
use crate::mutant::{Genre, Mutant, Source};
use crate::place::{Fate, place};

/// The text with mutants of number 0 and on: of what stands in `«»`, one for each replacement.
fn switched_with(marked: &str, genre: Genre, replacements: &[&str], constant: &[&str]) -> (String, Vec<Fate>) {
    let start = marked.find('«').unwrap();
    let end = marked.find('»').unwrap() - '«'.len_utf8();
    let text = marked.replace(['«', '»'], "");
    let mutant = |(number, replacement): (usize, &&str)| Mutant {
        number,
        genre,
        start,
        end,
        replacement: replacement.to_string(),
    };
    let mutants: Vec<Mutant> = replacements.iter().enumerate().map(mutant).collect();
    let constant: HashSet<String> = constant.iter().map(|name| name.to_string()).collect();
    let (edits, fates) = place(&Source::new(&text), &mutants, &constant).unwrap();
    let written = apply(&text, &edits);
    assert_eq!(
        written.lines().count(),
        text.lines().count(),
        "lines stay where they are"
    );
    syn::parse_file(&written).unwrap();
    (plain(&written), fates)
}

/// Without the marks, and with a short name for the switch.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("/*") {
        let (comment, behind) = behind.split_once("*/").unwrap();
        let mark = comment.contains(['[', ']', '<', '>']);
        out += before;
        if !mark {
            out += &format!("/*{comment}*/");
        }
        rest = behind;
    }
    (out + rest).replace("crate::mutants::on", "on")
}

#[track_caller]
fn expect(marked: &str, genre: Genre, replacements: &[&str], written: &str) {
    let (text, fates) = switched_with(marked, genre, replacements, &[]);
    assert_eq!(text, written);
    assert!(fates.iter().all(|fate| *fate == Fate::Switched));
}

#[track_caller]
fn expect_fate(marked: &str, genre: Genre, replacement: &str, fate: Fate) {
    let (text, fates) = switched_with(marked, genre, &[replacement], &[]);
    assert_eq!(text, marked.replace(['«', '»'], ""));
    assert_eq!(fates, [fate]);
}

#[test]
fn a_function_gives_back_something_else() {
    expect(
        "fn f(&self) -> u8 {\n    «let a = 1;\n    a»\n}",
        Genre::FnValue,
        &["0", "1"],
        "fn f(&self) -> u8 {\n    if on(0) { return 0; } if on(1) { return 1; } let a = 1;\n    a\n}",
    );
    expect(
        "trait T { fn f() { «g()» } }",
        Genre::FnValue,
        &["()"],
        "trait T { fn f() { if on(0) { return (); } g() } }",
    );
}

#[test]
fn an_operator_is_another() {
    expect(
        "fn f() { let x = a «<» b; }",
        Genre::BinaryOperator,
        &["==", "<="],
        "fn f() { let x = (if on(0) { (a  ==  b) } else { ((if on(1) { (a  <=  b) } else { (a < b) })) }); }",
    );
    expect(
        "fn f() { a «+=» 1; }",
        Genre::BinaryOperator,
        &["-="],
        "fn f() { (if on(0) { (a  -=  1) } else { (a += 1) }); }",
    );
}

#[test]
fn an_operator_that_binds_otherwise_changes_the_chain() {
    expect(
        "fn f() { x - a «*» b }",
        Genre::BinaryOperator,
        &["+"],
        "fn f() { (if on(0) { (x - a  +  b) } else { (x - a * b) }) }",
    );
}

#[test]
fn lines_are_kept_and_comments_swallow_nothing() {
    expect(
        "fn f() {\n    a // why\n    «&&» b\n}",
        Genre::BinaryOperator,
        &["||"],
        "fn f() {\n    (if on(0) { (a || b) } else { (a // why\n    && b) })\n}",
    );
}

#[test]
fn a_chain_with_let_has_switches_in_it_but_not_around_it() {
    expect(
        "fn f() { if let Some(x) = y && a «==» b {} }",
        Genre::BinaryOperator,
        &["!="],
        "fn f() { if let Some(x) = y && (if on(0) { (a  !=  b) } else { (a == b) }) {} }",
    );
    expect_fate(
        "fn f() { if let Some(x) = y «&&» a == b {} }",
        Genre::BinaryOperator,
        "||",
        Fate::NoRust,
    );
    expect_fate(
        "fn f() { if a «&&» b && let Some(x) = y {} }",
        Genre::BinaryOperator,
        "||",
        Fate::NoRust,
    );
}

#[test]
fn a_sign_is_taken_out() {
    expect(
        "fn f() { «!»a.b() }",
        Genre::UnaryOperator,
        &[""],
        "fn f() { (if on(0) { (a.b()) } else { (!a.b()) }) }",
    );
}

#[test]
fn an_arm_is_taken_out() {
    expect(
        "fn f() { match a { «A | B => 1,» _ => 2 } }",
        Genre::MatchArm,
        &[""],
        "fn f() { match a { A | B if !on(0) => 1, _ => 2 } }",
    );
    expect_fate(
        "fn f() { match a { «A => 1,» _ if b => 2, B => 3 } }",
        Genre::MatchArm,
        "",
        Fate::NoSwitch,
    );
}

#[test]
fn a_guard_is_fixed() {
    expect(
        "fn f() { match a { A if «b || c» => 1, _ => 2 } }",
        Genre::MatchArmGuard,
        &["true", "false"],
        "fn f() { match a { A if (on(0) || ((!on(1) && (b || c)))) => 1, _ => 2 } }",
    );
}

#[test]
fn a_field_is_taken_out() {
    expect(
        "fn f() { S { «a: 1,» b, ..c } }",
        Genre::StructField,
        &[""],
        "fn f() { (if on(0) { (S {  b, ..c }) } else { (S { a: 1, b, ..c }) }) }",
    );
}

#[test]
fn what_the_compiler_computes_has_no_switch() {
    expect_fate("const A: u8 = 1 «+» 2;", Genre::BinaryOperator, "-", Fate::NoSwitch);
    expect_fate(
        "impl T { const A: u8 = 1 «+» 2; }",
        Genre::BinaryOperator,
        "-",
        Fate::NoSwitch,
    );
    expect_fate(
        "fn f() { let a = [0; 1 «+» 2]; }",
        Genre::BinaryOperator,
        "-",
        Fate::NoSwitch,
    );
    expect_fate(
        "fn f() -> [u8; 1 «+» 2] { g() }",
        Genre::BinaryOperator,
        "-",
        Fate::NoSwitch,
    );
    expect_fate("enum E { A = 1 «+» 2 }", Genre::BinaryOperator, "-", Fate::NoSwitch);
}

#[test]
fn a_function_is_not_const_unless_it_must_be() {
    let marked = "const fn f() -> u8 { «g()» }";
    let (text, fates) = switched_with(marked, Genre::FnValue, &["0"], &[]);
    assert_eq!(text, "/*const*/ fn f() -> u8 { if on(0) { return 0; } g() }");
    assert_eq!(fates, [Fate::Switched]);
    let (text, fates) = switched_with(marked, Genre::FnValue, &["0"], &["f"]);
    assert_eq!(text, "const fn f() -> u8 { g() }");
    assert_eq!(fates, [Fate::NoSwitch]);
}
