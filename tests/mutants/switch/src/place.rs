//! Finds where each mutant of a file stands, and how it is switched.
//!
//! Switch N is `crate::mutants::on(N)`. What is put into the text has marks around it, in comments: `/*[N*/ ... /*N]*/` around all that the switch
//! makes different, and `/*<N*/ ... /*N>*/` around what stands there only for the mutant. By them an error of the compiler is known to be
//! the mutant's own or the switch's.
//!
//! The mutant has the text as it stands in the file, with no other switch in it, as only one is on at a time; the other side has them all. So the
//! text grows with the number of mutants and not with its square.

use std::collections::{HashMap, HashSet};

use proc_macro2::TokenStream;
use syn::visit::{self, Visit};
use syn::{Expr, ExprStruct, ImplItemFn, ItemFn, Signature};

use crate::chain::{self, Host, Stretch};
use crate::edit::Edit;
use crate::mutant::{Genre, Mutant, Source};

/// What came of a mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// There is a switch for it.
    Switched,
    /// It is no Rust.
    NoRust,
    /// No switch can stand there: it is computed by the compiler, or is none of the places that are known here.
    NoSwitch,
}

/// The edits of a file, and what comes of each of its mutants. Functions named in `constant` must stay `const`.
pub fn place(
    source: &Source,
    mutants: &[Mutant],
    constant: &HashSet<String>,
) -> Result<(Vec<Edit>, Vec<Fate>), String> {
    let file = syn::parse_file(source.text).map_err(|error| error.to_string())?;
    let mut at: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, mutant) in mutants.iter().enumerate() {
        at.entry((mutant.genre, mutant.start, mutant.end))
            .or_default()
            .push(index);
    }
    let fates = vec![Fate::NoSwitch; mutants.len()];
    let mut placer = Placer {
        source,
        mutants,
        constant,
        at,
        edits: Vec::new(),
        fates,
        computed: 0,
        chain: None,
        beside_let: false,
    };
    placer.visit_file(&file);
    Ok((placer.edits, placer.fates))
}

struct Placer<'a> {
    source: &'a Source<'a>,
    mutants: &'a [Mutant],
    constant: &'a HashSet<String>,
    /// The mutants of each place.
    at: HashMap<(Genre, usize, usize), Vec<usize>>,
    edits: Vec<Edit>,
    fates: Vec<Fate>,
    /// In how many things that the compiler computes this is.
    computed: usize,
    /// The chain of operators that this is an operand of.
    chain: Option<Stretch>,
    /// Whether this is an operand in a chain of conditions with a `let` among them.
    beside_let: bool,
}

impl<'a> Placer<'a> {
    fn text(&self, (start, end): Stretch) -> &'a str {
        &self.source.text[start..end]
    }

    /// The mutants of a place that can have a switch.
    fn mutants_at(&self, genre: Genre, (start, end): Stretch) -> Vec<usize> {
        if self.computed > 0 {
            Vec::new()
        } else {
            self.at.get(&(genre, start, end)).cloned().unwrap_or_default()
        }
    }

    fn switch(&mut self, mutant: usize, edit: Edit) {
        self.edits.push(edit);
        self.fates[mutant] = Fate::Switched;
    }

    /// Either `changed`, or the expression that stands there.
    fn switch_expression(&mut self, mutant: usize, (start, end): Stretch, changed: &str) {
        let number = self.mutants[mutant].number;
        let changed = one_line(changed);
        // A block, or what looks like one, would be a statement of its own without the inner parentheses.
        let before = format!(
            "(/*[{number}*/if crate::mutants::on({number}) {{ /*<{number}*/({changed})/*{number}>*/ }} else {{ ("
        );
        self.switch(
            mutant,
            Edit {
                start,
                end,
                before,
                after: format!(") }}/*{number}]*/)"),
            },
        );
    }

    /// An expression with an operator that is replaced.
    fn operator(&mut self, genre: Genre, expr: &Expr, operator: Stretch) {
        let own = self.source.range(expr);
        let chain = self.chain.unwrap_or(own);
        for mutant in self.mutants_at(genre, operator) {
            let replacement = &self.mutants[mutant].replacement;
            let host = match chain::host(self.source.text, chain, own, operator, replacement) {
                // What `&&` becomes cannot stand beside a `let`.
                _ if self.is_in_let_chain(expr) => Host::None,
                host => host,
            };
            let host = match host {
                Host::None => {
                    self.fates[mutant] = Fate::NoRust;
                    continue;
                }
                Host::Operator => own,
                Host::Chain => chain,
            };
            let changed = format!(
                "{} {replacement} {}",
                self.text((host.0, operator.0)),
                self.text((operator.1, host.1))
            );
            self.switch_expression(mutant, host, &changed);
        }
    }

    /// Whether it is a `&&` of a chain of conditions with a `let` among them.
    fn is_in_let_chain(&self, expr: &Expr) -> bool {
        chain::has_let(expr)
            || self.beside_let && matches!(expr, Expr::Binary(binary) if matches!(binary.op, syn::BinOp::And(_)))
    }

    /// A function gives back something else as the first thing it does.
    fn function(&mut self, signature: &Signature, block: &syn::Block) {
        let kept = signature.constness.is_some() && self.constant.contains(&signature.ident.to_string());
        if let Some(keyword) = signature.constness.filter(|_| !kept) {
            // A switch is not `const`.
            let (start, end) = self.source.range(&keyword);
            self.edits.push(Edit {
                start,
                end,
                before: "/*".into(),
                after: "*/".into(),
            });
        }
        self.computed += usize::from(kept);
        if let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) {
            let start = self.source.range(first).0;
            for mutant in self.mutants_at(Genre::FnValue, (start, self.source.range(last).1)) {
                let Mutant {
                    number, replacement, ..
                } = &self.mutants[mutant];
                let text = format!(
                    "/*[{number}*/if crate::mutants::on({number}) {{ return /*<{number}*/{replacement}/*{number}>*/; }}/*{number}]*/ "
                );
                self.switch(mutant, Edit::insert(start, text));
            }
        }
    }

    fn leave_function(&mut self, signature: &Signature) {
        let kept = signature.constness.is_some() && self.constant.contains(&signature.ident.to_string());
        self.computed -= usize::from(kept);
    }

    /// `has_else`: whatever arm is taken out, another one takes what it took.
    fn match_arm(&mut self, arm: &syn::Arm, has_else: bool) {
        let behind_pattern = self.source.range(&arm.pat).1;
        for mutant in self.mutants_at(Genre::MatchArm, self.source.range(arm)) {
            if !has_else {
                continue;
            }
            let number = self.mutants[mutant].number;
            let text = format!(" /*[{number}*/if !crate::mutants::on({number})/*{number}]*/");
            self.switch(mutant, Edit::insert(behind_pattern, text));
        }
        let Some((_, guard)) = &arm.guard else { return };
        let (start, end) = self.source.range(&**guard);
        for mutant in self.mutants_at(Genre::MatchArmGuard, (start, end)) {
            if chain::has_let(guard) {
                continue;
            }
            let Mutant {
                number, replacement, ..
            } = &self.mutants[mutant];
            let switch = match replacement.as_str() {
                "true" => format!("crate::mutants::on({number}) || "),
                _ => format!("!crate::mutants::on({number}) && "),
            };
            let before = format!("(/*[{number}*/{switch}(");
            let after = format!(")/*{number}]*/)");
            self.switch(
                mutant,
                Edit {
                    start,
                    end,
                    before,
                    after,
                },
            );
        }
    }

    fn struct_fields(&mut self, expr: &ExprStruct) {
        if expr.rest.is_none() {
            return;
        }
        let own = self.source.range(expr);
        for pair in expr.fields.pairs() {
            let (start, mut end) = self.source.range(*pair.value());
            if let Some(comma) = pair.punct() {
                end = self.source.range(comma).1;
            }
            for mutant in self.mutants_at(Genre::StructField, (start, end)) {
                let changed = format!("{}{}", self.text((own.0, start)), self.text((end, own.1)));
                self.switch_expression(mutant, own, &changed);
            }
        }
    }

    /// Visits what the compiler computes, where no switch can stand.
    fn computed(&mut self, visit: impl FnOnce(&mut Self)) {
        self.computed += 1;
        visit(self);
        self.computed -= 1;
    }
}

impl<'ast> Visit<'ast> for Placer<'_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        let outer = (self.chain, self.beside_let);
        match expr {
            Expr::Binary(binary) => self.operator(Genre::BinaryOperator, expr, self.source.range(&binary.op)),
            Expr::Unary(unary) => self.operator(Genre::UnaryOperator, expr, self.source.range(&unary.op)),
            Expr::Struct(literal) => self.struct_fields(literal),
            _ => {}
        }
        self.chain = if chain::is_link(expr) {
            self.chain.or(Some(self.source.range(expr)))
        } else {
            None
        };
        self.beside_let = self.is_in_let_chain(expr);
        visit::visit_expr(self, expr);
        (self.chain, self.beside_let) = outer;
    }

    fn visit_expr_match(&mut self, expr: &'ast syn::ExprMatch) {
        let has_else = expr
            .arms
            .iter()
            .any(|arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none());
        for arm in &expr.arms {
            self.match_arm(arm, has_else);
        }
        visit::visit_expr_match(self, expr);
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
        self.leave_function(&item.sig);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
        self.leave_function(&item.sig);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
            visit::visit_trait_item_fn(self, item);
            self.leave_function(&item.sig);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.computed(|placer| visit::visit_item_const(placer, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.computed(|placer| visit::visit_impl_item_const(placer, item));
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.computed(|placer| visit::visit_trait_item_const(placer, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.computed(|placer| visit::visit_item_static(placer, item));
    }

    fn visit_expr_const(&mut self, expr: &'ast syn::ExprConst) {
        self.computed(|placer| visit::visit_expr_const(placer, expr));
    }

    fn visit_expr_repeat(&mut self, expr: &'ast syn::ExprRepeat) {
        self.visit_expr(&expr.expr);
        self.computed(|placer| placer.visit_expr(&expr.len));
    }

    // Lengths of arrays, values of generics and of variants, and whatever a pattern has.

    fn visit_type(&mut self, ty: &'ast syn::Type) {
        self.computed(|placer| visit::visit_type(placer, ty));
    }

    fn visit_generic_argument(&mut self, argument: &'ast syn::GenericArgument) {
        self.computed(|placer| visit::visit_generic_argument(placer, argument));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.computed(|placer| visit::visit_variant(placer, variant));
    }

    fn visit_pat(&mut self, pattern: &'ast syn::Pat) {
        self.computed(|placer| visit::visit_pat(placer, pattern));
    }
}

/// The text in one line, so that the lines behind it stay where they were. A comment to the end of its line would take the rest with it.
fn one_line(text: &str) -> String {
    if !text.contains('\n') && !text.contains("//") {
        return text.trim().to_owned();
    }
    text.parse::<TokenStream>()
        .map_or_else(|_| text.to_owned(), |tokens| tokens.to_string())
}
