//! Which part of an expression changes when an operator does.
//!
//! cargo-mutants changes text: of `x - a * b` with `+` for `*` becomes `x - a + b`, which is `(x - a) + b`. A switch around `a * b` would be
//! another mutant, `x - (a + b)`. So the changed text is parsed, and compared with the same where the operator's expression stands in
//! parentheses: if both say the same, the switch may stand around that expression, else it must stand around the whole chain of operators.

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Expr, ExprParen};

/// Where the switch stands.
#[derive(PartialEq, Debug)]
pub enum Host {
    /// Around the operator's own expression.
    Operator,
    /// Around all of the chain.
    Chain,
    /// The changed text is no Rust.
    None,
}

/// A stretch of bytes.
pub type Stretch = (usize, usize);

/// Looks at the chain in which the expression `own` stands, whose operator is replaced.
pub fn host(text: &str, chain: Stretch, own: Stretch, operator: Stretch, replacement: &str) -> Host {
    let changed = |(start, end): Stretch| {
        let behind = &text[operator.1..end];
        // `& &a` and `- -a` are not `&&a` and `--a`.
        format!("{} {replacement} {behind}", &text[start..operator.0])
    };
    let Some(plain) = parsed(&changed(chain)) else {
        return Host::None;
    };
    let bracketed = format!("{}({}){}", &text[chain.0..own.0], changed(own), &text[own.1..chain.1]);
    if parsed(&bracketed) == Some(plain) {
        Host::Operator
    } else {
        Host::Chain
    }
}

/// The expression with parentheses around each part of it that is an operator and what it is applied to, and no others: two that
/// are the same say the same.
fn parsed(text: &str) -> Option<String> {
    let mut expr = syn::parse_str::<Expr>(text).ok()?;
    Brackets.visit_expr_mut(&mut expr);
    Some(expr.to_token_stream().to_string())
}

struct Brackets;

impl VisitMut for Brackets {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        while let Expr::Paren(paren) = expr {
            *expr = core::mem::replace(&mut paren.expr, Expr::PLACEHOLDER);
        }
        if matches!(expr, Expr::Binary(_)) || is_link(expr) {
            let inner = core::mem::replace(expr, Expr::PLACEHOLDER);
            let paren = ExprParen {
                attrs: Vec::new(),
                paren_token: Default::default(),
                expr: Box::new(inner),
            };
            *expr = Expr::Paren(paren);
        }
    }
}

/// Whether it is part of a chain: what is beside it may become an operand of it when an operator changes.
pub fn is_link(expr: &Expr) -> bool {
    match expr {
        // Nothing binds less, so nothing reaches beyond it.
        Expr::Binary(binary) => !is_assignment(&binary.op) && !has_let(expr),
        Expr::Unary(_) | Expr::Cast(_) | Expr::Reference(_) => true,
        _ => false,
    }
}

/// Whether it is a chain of conditions with a `let` among them. That is no value: it cannot stand in parentheses, and `||` cannot stand in it.
pub fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => matches!(binary.op, BinOp::And(_)) && (has_let(&binary.left) || has_let(&binary.right)),
        _ => false,
    }
}

fn is_assignment(op: &BinOp) -> bool {
    use BinOp::*;
    matches!(
        op,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `own` is what the operator, the first one that is like `operator`, stands in.
    fn host_of(text: &str, own: &str, operator: &str, replacement: &str) -> Host {
        let own = text.find(own).map(|at| (at, at + own.len())).unwrap();
        let at = own.0 + text[own.0..].find(operator).unwrap();
        host(text, (0, text.len()), own, (at, at + operator.len()), replacement)
    }

    #[test]
    fn an_operator_that_binds_alike_changes_its_own_expression() {
        assert_eq!(host_of("a == b && c == d", "a == b", "==", "!="), Host::Operator);
        assert_eq!(host_of("a + b + c", "a + b", "+", "-"), Host::Operator);
        assert_eq!(host_of("a < b || c", "a < b || c", "||", "&&"), Host::Operator);
    }

    #[test]
    fn an_operator_that_binds_more_takes_what_is_beside_it() {
        assert_eq!(
            host_of("a + b * c", "a + b * c", "+", "/"),
            Host::Operator,
            "(a / b) * c, and nothing is beside it"
        );
        assert_eq!(
            host_of("x - a * b", "a * b", "*", "+"),
            Host::Chain,
            "(x - a) + b is not x - (a + b)"
        );
        assert_eq!(host_of("(x + a) + b", "(x + a) + b", "+", "*"), Host::Operator);
        assert_eq!(host_of("x << a + b", "a + b", "+", "*"), Host::Operator);
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest() {
        assert_eq!(host_of("!a && b", "!a", "!", ""), Host::Operator);
        assert_eq!(host_of("- -a", "- -a", "-", ""), Host::Operator);
    }

    #[test]
    fn what_does_not_parse_has_no_host() {
        assert_eq!(host_of("a && b == c", "a && b == c", "&&", "<"), Host::None);
        assert_eq!(host_of("a as u8 >= b", "a as u8 >= b", ">=", "<"), Host::None);
    }
}
