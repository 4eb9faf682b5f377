//! Puts every mutant of a file behind the switch.
//!
//! What is mutated stands beside the original: `if on(17) { a != b } else { a == b }`. Changed expressions hold the
//! original parts, so one mutant at a time is on, whatever is nested.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, Attribute, Block, Expr, ExprMatch, ImplItemFn, ItemFn, ItemImpl, Signature, Stmt, TraitItemFn,
};

use crate::mutant::Mutant;
use crate::operators::{changes, forgettable, has_let, is_wildcard, piece, unless};
use crate::{planted, returns, switch};

/// Traits whose implementations are for people or for the machine, and decide nothing.
const SKIPPED_TRAITS: &[&str] = &["Debug", "Display", "Error", "Hash", "Serialize", "Deserialize"];

/// What is not to be compiled in: mutants that the compiler refuses, by key, and `const` functions that constants call.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Without {
    pub(crate) unviable: BTreeSet<String>,
    pub(crate) constant: BTreeSet<String>,
}

/// An instrumented file. Its mutants are numbered from the number that was given, those left out among them.
pub(crate) struct Instrumented {
    pub(crate) text: String,
    pub(crate) mutants: Vec<Mutant>,
}

/// Instruments one file.
///
/// # Errors
/// When it is not Rust.
pub(crate) fn instrument(name: &str, text: &str, first: u32, without: &Without) -> syn::Result<Instrumented> {
    let mut file = syn::parse_file(text)?;
    let mut visitor = Visitor {
        name,
        text,
        first,
        without,
        mutants: Vec::new(),
        seen: BTreeMap::new(),
        scope: Vec::new(),
        planted: BTreeSet::new(),
        unit: false,
    };
    visitor.visit_file_mut(&mut file);
    Ok(Instrumented { text: file.to_token_stream().to_string(), mutants: visitor.mutants })
}

struct Visitor<'a> {
    name: &'a str,
    text: &'a str,
    first: u32,
    without: &'a Without,
    mutants: Vec<Mutant>,
    /// How often a change was seen, by key.
    seen: BTreeMap<String, u32>,
    scope: Vec<String>,
    /// Names in the function that stand for a planted bug.
    planted: BTreeSet<String>,
    /// Whether the expression that comes next is there for its effects alone.
    unit: bool,
}

impl Visitor<'_> {
    /// Notes a mutant; gives the expression that says whether it is on, unless it is left out.
    fn point(&mut self, line: usize, change: String) -> Option<TokenStream> {
        let function = self.scope.join("::");
        let mut mutant = Mutant { file: self.name.to_owned(), line, function, change };
        let times = self.seen.entry(mutant.key()).or_default();
        *times += 1;
        if *times > 1 {
            mutant.change = format!("{} #{times}", mutant.change);
        }
        let number =
            self.first + u32::try_from(self.mutants.len()).expect("a crate has fewer mutants than 2^32");
        let left_out = self.without.unviable.contains(&mutant.key());
        self.mutants.push(mutant);
        (!left_out).then(|| switch::on(number))
    }

    /// The body of a function: what it may answer at once, then what it does.
    fn function(&mut self, attributes: &[Attribute], signature: &mut Signature, body: &mut Block) {
        let name = signature.ident.to_string();
        let constant = signature.constness.is_some() && self.without.constant.contains(&name);
        let asserts = name.starts_with("assert");
        if is_test(attributes) || constant || asserts || returns::is_words(&signature.output) {
            return;
        }
        signature.constness = None;
        self.scope.push(name);
        let outer = mem::replace(&mut self.planted, planted::names(body));
        let line = signature.span().start().line;
        let answers = self.answers(signature, body, line);
        self.unit = matches!(signature.output, syn::ReturnType::Default);
        self.visit_block_mut(body);
        body.stmts.splice(0..0, answers);
        if returns::is_iterator(&signature.output) {
            self.empty_iterator(body, line);
        }
        self.planted = outer;
        self.scope.pop();
    }

    /// `if on { return value; }` for each value that the function may answer always.
    fn answers(&mut self, signature: &Signature, body: &Block, line: usize) -> Vec<Stmt> {
        let own: String =
            body.stmts.iter().map(|statement| statement.to_token_stream().to_string()).collect();
        let is_default = signature.ident == "default" && signature.inputs.is_empty();
        let mut statements = Vec::new();
        for value in returns::values(&signature.output) {
            let words = value.to_string();
            if words == own || is_default || (own.is_empty() && words == "()") {
                continue;
            }
            let change = format!("the body becomes `{}`", words.replace(' ', ""));
            if let Some(on) = self.point(line, change) {
                statements.push(syn::parse_quote!(if #on { return #value; }));
            }
        }
        statements
    }

    fn empty_iterator(&mut self, body: &mut Block, line: usize) {
        if let Some(Stmt::Expr(tail, None)) = body.stmts.last_mut()
            && let Some(on) = self.point(line, "the iterator becomes empty".to_owned())
        {
            *tail = syn::parse_quote!((#tail).take(if #on { 0 } else { usize::MAX }));
        }
    }

    /// Puts everything that is made of `original` before `expr`, which is the original with its parts instrumented.
    fn alternatives(&mut self, original: &Expr, expr: &mut Expr) {
        let mut branches = quote!();
        for change in changes(original) {
            let words = format!("{} in `{}`", change.words, piece(self.text, original));
            if let Some(on) = self.point(original.span().start().line, words) {
                let instead = &change.instead;
                branches.extend(quote!(if #on { #instead } else));
            }
        }
        if !branches.is_empty() {
            *expr = syn::parse_quote!((#branches { #expr }));
        }
    }

    /// Makes a statement forgettable.
    fn forget(&mut self, original: &Expr, expr: &Expr) -> Option<Expr> {
        let what = forgettable(original)?;
        let words = format!("forgotten {what} `{}`", piece(self.text, original));
        let on = self.point(original.span().start().line, words)?;
        Some(unless(&on, expr))
    }

    /// Makes a `return` forgettable, in a block whose value nobody wants.
    fn forget_return(&mut self, original: &Expr, expr: &Expr) -> Option<Expr> {
        matches!(original, Expr::Return(_)).then_some(())?;
        let words = format!("forgotten `{}`", piece(self.text, original));
        let on = self.point(original.span().start().line, words)?;
        Some(unless(&on, expr))
    }

    fn statement(&mut self, statement: &mut Stmt, unit: bool) {
        let Stmt::Expr(expr, semi) = statement else {
            return visit_mut::visit_stmt_mut(self, statement);
        };
        let original = expr.clone();
        let for_effect = unit || semi.is_some();
        self.unit = for_effect;
        self.visit_expr_mut(expr);
        let forgotten = if for_effect { self.forget(&original, expr) } else { None };
        let forgotten = forgotten.or_else(|| if unit { self.forget_return(&original, expr) } else { None });
        if let Some(forgotten) = forgotten {
            *statement = Stmt::Expr(forgotten, None);
        }
    }

    /// An arm before one that takes everything can be left out; a guard can hold always or never.
    fn arm(&mut self, arm: &mut Arm, others: &Others, unit: bool) {
        let line = arm.pat.span().start().line;
        let pattern = piece(self.text, &arm.pat);
        let is_planted = arm.guard.as_ref().is_some_and(|(_, guard)| planted::asks(guard, &self.planted));
        if let Some((_, guard)) = &mut arm.guard {
            if !has_let(guard) {
                let original = guard.clone();
                self.visit_expr_mut(guard);
                self.guard(guard, &original, line, is_planted);
            }
        } else if others.may_take(arm)
            && let Some(on) = self.point(line, format!("arm `{pattern}` is left out"))
        {
            arm.guard = Some((Default::default(), syn::parse_quote!(!#on)));
        }
        if is_planted {
            return;
        }
        let original = (*arm.body).clone();
        self.unit = unit;
        self.visit_expr_mut(&mut arm.body);
        if unit && let Some(forgotten) = self.forget(&original, &arm.body) {
            *arm.body = syn::parse_quote!({ #forgotten });
        }
    }

    fn guard(&mut self, guard: &mut Box<Expr>, original: &Expr, line: usize, is_planted: bool) {
        let words = piece(self.text, original);
        if let Some(on) = self.point(line, format!("guard `{words}` holds always")) {
            **guard = syn::parse_quote!(#on || (#guard));
        }
        if !is_planted && let Some(on) = self.point(line, format!("guard `{words}` holds never")) {
            **guard = syn::parse_quote!(!#on && (#guard));
        }
    }
}

/// Whether there is an arm that takes everything, and what it does.
struct Others(Option<String>);

impl Others {
    fn of(arms: &[Arm]) -> Self {
        Self(arms.iter().find(|arm| is_wildcard(arm)).map(|arm| arm.body.to_token_stream().to_string()))
    }

    /// Whether leaving `arm` out gives a match that is whole, and another one.
    fn may_take(&self, arm: &Arm) -> bool {
        let differs = |body: &String| *body != arm.body.to_token_stream().to_string();
        !is_wildcard(arm) && self.0.as_ref().is_some_and(differs)
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test"))
    })
}

/// The name of the type that an `impl` is for.
fn type_name(item: &ItemImpl) -> String {
    match &*item.self_ty {
        syn::Type::Path(path) => {
            path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default()
        }
        other => other.to_token_stream().to_string(),
    }
}

impl VisitMut for Visitor<'_> {
    fn visit_item_mod_mut(&mut self, item: &mut syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit_mut::visit_item_mod_mut(self, item);
        }
    }

    fn visit_item_impl_mut(&mut self, item: &mut ItemImpl) {
        let of_trait = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        let of_trait = of_trait.map(|last| last.ident.to_string());
        if is_test(&item.attrs)
            || of_trait.as_ref().is_some_and(|name| SKIPPED_TRAITS.contains(&name.as_str()))
        {
            return;
        }
        let name = type_name(item);
        self.scope.push(of_trait.map_or_else(|| name.clone(), |of_trait| format!("<{name} as {of_trait}>")));
        visit_mut::visit_item_impl_mut(self, item);
        self.scope.pop();
    }

    fn visit_item_fn_mut(&mut self, item: &mut ItemFn) {
        self.function(&item.attrs, &mut item.sig, &mut item.block);
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut ImplItemFn) {
        self.function(&item.attrs, &mut item.sig, &mut item.block);
    }

    fn visit_trait_item_fn_mut(&mut self, item: &mut TraitItemFn) {
        if let Some(body) = &mut item.default {
            self.function(&item.attrs, &mut item.sig, body);
        }
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        let unit = mem::take(&mut self.unit);
        let count = block.stmts.len();
        for (at, statement) in block.stmts.iter_mut().enumerate() {
            // A call without a semicolon is for its effect in a block that is so; before the end, only a block can be.
            let ends = at + 1 == count;
            let open = matches!(statement, Stmt::Expr(_, None));
            self.statement(statement, unit || (open && !ends));
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let unit = mem::take(&mut self.unit);
        match expr {
            Expr::If(branch) => {
                self.visit_expr_mut(&mut branch.cond);
                if !planted::asks(&branch.cond, &self.planted) {
                    self.unit = unit || branch.else_branch.is_none();
                    self.visit_block_mut(&mut branch.then_branch);
                }
                if let Some((_, otherwise)) = &mut branch.else_branch {
                    self.unit = unit;
                    self.visit_expr_mut(otherwise);
                }
                self.unit = false;
            }
            Expr::Block(inner) => {
                self.unit = unit;
                self.visit_block_mut(&mut inner.block);
            }
            Expr::ForLoop(each) => {
                self.visit_expr_mut(&mut each.expr);
                self.unit = true;
                self.visit_block_mut(&mut each.body);
            }
            Expr::While(each) => {
                self.visit_expr_mut(&mut each.cond);
                self.unit = true;
                self.visit_block_mut(&mut each.body);
            }
            Expr::Match(choice) => {
                self.unit = unit;
                self.visit_expr_match_mut(choice);
            }
            Expr::Const(_) => {}
            Expr::Repeat(repeat) => self.visit_expr_mut(&mut repeat.expr),
            _ => {
                let original = expr.clone();
                visit_mut::visit_expr_mut(self, expr);
                self.alternatives(&original, expr);
            }
        }
    }

    fn visit_expr_match_mut(&mut self, choice: &mut ExprMatch) {
        let unit = mem::take(&mut self.unit);
        self.visit_expr_mut(&mut choice.expr);
        let others = Others::of(&choice.arms);
        for arm in &mut choice.arms {
            self.arm(arm, &others, unit);
        }
    }

    // Constants, patterns and types are not run.
    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_trait_item_const_mut(&mut self, _: &mut syn::TraitItemConst) {}
    fn visit_item_enum_mut(&mut self, _: &mut syn::ItemEnum) {}
    fn visit_pat_mut(&mut self, _: &mut syn::Pat) {}
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}
    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}
}
