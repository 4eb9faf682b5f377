//! What can be made of one expression or statement: the operators of mutation.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Arm, BinOp, Expr, ExprBinary, ExprMacro, ExprStruct, ExprUnary, Member, Pat, Token, UnOp};

/// A change: what it does, in words, and what stands there instead.
pub(crate) struct Change {
    pub(crate) words: String,
    pub(crate) instead: Expr,
}

/// Everything that is made of `expr` itself; its parts are looked at by themselves.
pub(crate) fn changes(expr: &Expr) -> Vec<Change> {
    match expr {
        Expr::Binary(binary) => of_binary(binary),
        Expr::Unary(unary) => of_unary(unary).into_iter().collect(),
        Expr::Macro(matches) => of_matches(matches).into_iter().collect(),
        Expr::Struct(record) => of_struct(record),
        _ => Vec::new(),
    }
}

fn of_binary(binary: &ExprBinary) -> Vec<Change> {
    if has_let(&binary.left) || has_let(&binary.right) {
        return Vec::new();
    }
    let original = binary.op.to_token_stream().to_string();
    let change = |op: &BinOp| {
        let instead = ExprBinary { op: *op, ..binary.clone() };
        let words = format!("`{original}` becomes `{}`", op.to_token_stream());
        Change { words, instead: Expr::Binary(instead) }
    };
    others(binary.op).iter().map(change).collect()
}

/// The operators that take the place of another.
fn others(op: BinOp) -> Vec<BinOp> {
    let words: &[&str] = match op {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", "==", ">"],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "==", "<"],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["%", "*"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::BitAnd(_) => &["|", "^"],
        BinOp::BitOr(_) => &["&", "^"],
        BinOp::BitXor(_) => &["|", "&"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        BinOp::MulAssign(_) => &["+=", "/="],
        BinOp::BitAndAssign(_) => &["|=", "^="],
        BinOp::BitOrAssign(_) => &["&=", "^="],
        _ => &[],
    };
    words.iter().map(|word| syn::parse_str(word).expect("the operators of the table are operators")).collect()
}

/// `!a` and `-a` lose their sign; `!matches!(…)` is left to [`of_matches`].
fn of_unary(unary: &ExprUnary) -> Option<Change> {
    let sign = match unary.op {
        UnOp::Not(_) if !matches!(&*unary.expr, Expr::Macro(_)) => "!",
        UnOp::Neg(_) => "-",
        _ => return None,
    };
    Some(Change { words: format!("`{sign}` is left out"), instead: (*unary.expr).clone() })
}

fn of_matches(call: &ExprMacro) -> Option<Change> {
    call.mac.path.is_ident("matches").then(|| {
        let instead = syn::parse_quote!((!#call));
        Change { words: "`matches!` is turned round".to_owned(), instead }
    })
}

/// A field that is given beside `..base` is taken from the base.
fn of_struct(record: &ExprStruct) -> Vec<Change> {
    if record.rest.is_none() {
        return Vec::new();
    }
    let without = |left_out: usize| {
        let name = match &record.fields.iter().nth(left_out)?.member {
            Member::Named(name) => name.to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        };
        let kept = record.fields.iter().enumerate().filter(|(at, _)| *at != left_out);
        let mut fields: Punctuated<_, Token![,]> = kept.map(|(_, field)| field.clone()).collect();
        // `..base` needs a comma before it.
        if !fields.is_empty() {
            fields.push_punct(Token![,](record.brace_token.span.join()));
        }
        let instead = ExprStruct { fields, ..record.clone() };
        Some(Change { words: format!("field `{name}` is left to the base"), instead: Expr::Struct(instead) })
    };
    (0..record.fields.len()).filter_map(without).collect()
}

/// Whether a condition binds names, so that it cannot be moved into a block.
pub(crate) fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        Expr::Paren(inner) => has_let(&inner.expr),
        _ => false,
    }
}

/// What a statement does that can be forgotten: a call, an assignment; `None` for anything else.
pub(crate) fn forgettable(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::MethodCall(call) => (!call.method.to_string().starts_with("assert")).then_some("call"),
        Expr::Call(_) => Some("call"),
        Expr::Assign(_) => Some("assignment"),
        Expr::Try(_) => Some("check"),
        Expr::Binary(binary) => is_assignment(binary.op).then_some("assignment"),
        _ => None,
    }
}

fn is_assignment(op: BinOp) -> bool {
    op.to_token_stream().to_string().ends_with('=')
        && !matches!(op, BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Le(_) | BinOp::Ge(_))
}

/// Whether an arm takes whatever no arm before it took.
pub(crate) fn is_wildcard(arm: &Arm) -> bool {
    let takes_all = match &arm.pat {
        Pat::Wild(_) => true,
        Pat::Ident(name) => {
            name.subpat.is_none() && name.ident.to_string().starts_with(|c: char| c.is_lowercase())
        }
        _ => false,
    };
    takes_all && arm.guard.is_none()
}

/// The piece of `text` where `node` stands, on one line and not too long.
pub(crate) fn piece(text: &str, node: &impl quote::ToTokens) -> String {
    const LENGTH_MAX: usize = 72;
    let range = node.span().byte_range();
    let words: Vec<&str> = text.get(range).unwrap_or_default().split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= LENGTH_MAX {
        return line;
    }
    line.chars().take(LENGTH_MAX - 1).chain(['…']).collect()
}

/// `if !on { statement }`, for a statement that may be forgotten.
pub(crate) fn unless(on: &TokenStream, statement: &Expr) -> Expr {
    let tokens = quote!(if !#on { #statement; });
    syn::parse2(tokens).expect("a conditional statement is an expression")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_of(text: &str) -> Vec<String> {
        let expr: Expr = syn::parse_str(text).unwrap();
        changes(&expr).iter().map(|change| change.instead.to_token_stream().to_string()).collect()
    }

    #[test]
    fn an_operator_has_its_neighbours() {
        assert_eq!(made_of("a == b"), ["a != b"]);
        assert_eq!(made_of("a <= b"), ["a < b", "a > b"]);
        assert_eq!(made_of("a && b"), ["a || b"]);
        assert_eq!(made_of("!a"), ["a"]);
        assert_eq!(made_of("-a"), ["a"]);
        assert_eq!(made_of("A { x : 1 , .. b }"), ["A { .. b }"]);
        assert_eq!(made_of("A { x : 1 , y , .. b }"), ["A { y , .. b }", "A { x : 1 , .. b }"]);
    }

    #[test]
    fn a_condition_that_binds_names_stays_as_it_is() {
        let condition: syn::ExprIf = syn::parse_str("if a && let Some(b) = c {}").unwrap();

        assert!(has_let(&condition.cond));
        assert!(changes(&condition.cond).is_empty());
    }

    #[test]
    fn calls_and_assignments_can_be_forgotten() {
        let what = |text: &str| forgettable(&syn::parse_str(text).unwrap());

        assert_eq!(what("self.stop()"), Some("call"));
        assert_eq!(what("self.check()?"), Some("check"));
        assert_eq!(what("a += 1"), Some("assignment"));
        assert_eq!(what("a == 1"), None);
        assert_eq!(what("self.assert_sound()"), None);
    }
}
