//! Text that is put into a file: at a place, or around a stretch of it. What stands there already stays as it is, in the same line.

/// What is put before a stretch and behind it.
#[derive(Clone, Debug)]
pub struct Edit {
    pub start: usize,
    pub end: usize,
    pub before: String,
    pub after: String,
}

impl Edit {
    /// At one place, before what stands there.
    pub fn insert(at: usize, text: String) -> Self {
        Edit {
            start: at,
            end: at,
            before: text,
            after: String::new(),
        }
    }
}

/// The text with the edits. Their stretches lie apart from each other or one in the other, as pieces of syntax do.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    // At one place first ends what began before, the innermost first; then stands what has no length; then begins what ends
    // later, the outermost first. Of two stretches that are the same, the one that comes first in the list is the outer one.
    let mut pieces = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let (order, length) = (index as isize, (edit.end - edit.start) as isize);
        if length == 0 {
            pieces.push((edit.start, 1, 0, order, &edit.before));
        } else {
            pieces.push((edit.start, 2, -length, order, &edit.before));
            pieces.push((edit.end, 0, length, -order, &edit.after));
        }
    }
    pieces.sort();
    let mut out = String::new();
    let mut done = 0;
    for (at, .., piece) in pieces {
        out.push_str(&text[done..at]);
        out.push_str(piece);
        done = at;
    }
    out + &text[done..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(start: usize, end: usize, brackets: &str) -> Edit {
        let (before, after) = brackets.split_at(1);
        Edit {
            start,
            end,
            before: before.into(),
            after: after.into(),
        }
    }

    #[test]
    fn stretches_lie_in_each_other() {
        let edits = [around(0, 1, "()"), around(0, 3, "[]"), around(2, 3, "{}")];
        assert_eq!(apply("abc", &edits), "[(a)b{c}]");
    }

    #[test]
    fn of_the_same_stretches_the_first_is_the_outer() {
        assert_eq!(apply("ab", &[around(0, 2, "()"), around(0, 2, "[]")]), "([ab])");
    }

    #[test]
    fn one_ends_where_the_next_begins_and_between_them_something_is_put() {
        let edits = [around(1, 2, "[]"), Edit::insert(1, "-".into()), around(0, 1, "()")];
        assert_eq!(apply("ab", &edits), "(a)-[b]");
    }
}
