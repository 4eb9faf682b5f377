//! Recognises code that only a planted bug reaches: it is a mutant already, and none is made of it.

use std::collections::BTreeSet;

use syn::{BinOp, Block, Expr, Pat, Stmt};

/// Names in a function that stand for "this bug is planted".
pub(crate) fn names(body: &Block) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in &body.stmts {
        if let Stmt::Local(local) = statement
            && let Pat::Ident(name) = &local.pat
            && let Some(init) = &local.init
            && asks(&init.expr, &names)
        {
            names.insert(name.ident.to_string());
        }
    }
    names
}

/// Whether the expression holds only under a planted bug: it asks for one, itself or in a conjunction.
pub(crate) fn asks(expr: &Expr, names: &BTreeSet<String>) -> bool {
    match expr {
        Expr::MethodCall(call) => call.method == "has" && ends_in_faults(&call.receiver),
        Expr::Path(path) => path.path.get_ident().is_some_and(|name| names.contains(&name.to_string())),
        Expr::Paren(inner) => asks(&inner.expr, names),
        Expr::Binary(both) if matches!(both.op, BinOp::And(_)) => {
            asks(&both.left, names) || asks(&both.right, names)
        }
        Expr::Binary(either) if matches!(either.op, BinOp::Or(_)) => {
            asks(&either.left, names) && asks(&either.right, names)
        }
        _ => false,
    }
}

fn ends_in_faults(receiver: &Expr) -> bool {
    match receiver {
        Expr::Field(field) => matches!(&field.member, syn::Member::Named(name) if name == "faults"),
        Expr::Path(path) => path.path.is_ident("faults"),
        _ => false,
    }
}
