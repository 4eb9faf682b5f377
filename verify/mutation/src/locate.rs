//! Leads a compiler's complaint about an instrumented file back to the mutants that caused it.

use std::collections::BTreeSet;
use std::ops::Range;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprCall, ExprIf, Lit, Signature, UnOp};

use crate::switch::MODULE;

/// Where the mutants of one instrumented file stand, in bytes.
pub(crate) struct Regions {
    /// What only one mutant compiles; those nested in others come after them.
    mutants: Vec<(Range<usize>, u32)>,
    functions: Vec<Range<usize>>,
}

impl Regions {
    /// Finds them.
    ///
    /// # Errors
    /// When the text is not Rust.
    pub(crate) fn of(text: &str) -> syn::Result<Self> {
        let mut regions = Self { mutants: Vec::new(), functions: Vec::new() };
        regions.visit_file(&syn::parse_file(text)?);
        Ok(regions)
    }

    /// The innermost mutant whose code holds the span: it is to blame for an error there.
    pub(crate) fn innermost(&self, span: &Range<usize>) -> Option<u32> {
        let holding = self.mutants.iter().filter(|(region, _)| holds(region, span));
        holding.min_by_key(|(region, _)| region.len()).map(|(_, number)| *number)
    }

    /// All mutants of the function that holds the span: one of them is to blame for an error in no mutant's code.
    pub(crate) fn around(&self, span: &Range<usize>) -> BTreeSet<u32> {
        let around = self.functions.iter().filter(|function| holds(function, span));
        let Some(function) = around.min_by_key(|function| function.len()) else { return BTreeSet::new() };
        self.mutants.iter().filter(|(region, _)| holds(function, region)).map(|(_, number)| *number).collect()
    }
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The number in `mutation_switch::on(number)`.
fn number_of(call: &ExprCall) -> Option<u32> {
    let Expr::Path(path) = &*call.func else { return None };
    path.path.segments.iter().any(|segment| segment.ident == MODULE).then_some(())?;
    let Some(Expr::Lit(literal)) = call.args.first() else { return None };
    let Lit::Int(number) = &literal.lit else { return None };
    number.base10_parse().ok()
}

impl<'ast> Visit<'ast> for Regions {
    fn visit_expr_if(&mut self, branch: &'ast ExprIf) {
        let region = match &*branch.cond {
            Expr::Call(call) => number_of(call).map(|number| (branch.then_branch.span(), number)),
            Expr::Unary(not) if matches!(not.op, UnOp::Not(_)) => match &*not.expr {
                Expr::Call(call) => number_of(call).map(|number| (branch.span(), number)),
                _ => None,
            },
            _ => None,
        };
        if let Some((span, number)) = region {
            self.mutants.push((span.byte_range(), number));
        }
        visit::visit_expr_if(self, branch);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Some(number) = number_of(call) {
            self.mutants.push((call.span().byte_range(), number));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

impl Regions {
    fn function(&mut self, signature: &Signature, body: &Block) {
        self.functions.push(signature.span().byte_range().start..body.span().byte_range().end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn f() -> u8 { if crate::mutation_switch::on(3) { return wrong; } \
        if !crate::mutation_switch::on(4) { g((if crate::mutation_switch::on(5) { bad } else { 1 })); } 1 }";

    fn span(word: &str) -> Range<usize> {
        let start = TEXT.find(word).unwrap();
        start..start + word.len()
    }

    #[test]
    fn the_innermost_mutant_is_to_blame() {
        let regions = Regions::of(TEXT).unwrap();

        assert_eq!(regions.innermost(&span("wrong")), Some(3));
        assert_eq!(regions.innermost(&span("bad")), Some(5));
        assert_eq!(regions.innermost(&span("g(")), Some(4));
    }

    #[test]
    fn an_error_outside_all_of_them_falls_on_the_function() {
        let regions = Regions::of(TEXT).unwrap();

        assert_eq!(regions.innermost(&span("u8")), None);
        assert_eq!(regions.around(&span("u8")), BTreeSet::from([3, 4, 5]));
    }
}
