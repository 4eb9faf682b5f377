//! What a function may answer always: default-ish values of its type.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{GenericArgument, PathArguments, ReturnType, Type, TypePath};

/// A value is tried for each part of a tuple, up to this many in all.
const TUPLES_MAX: usize = 6;

/// The values that stand for the body of a function with this return type: words, and expression.
pub(crate) fn values(output: &ReturnType) -> Vec<TokenStream> {
    match output {
        ReturnType::Default => vec![quote!(())],
        ReturnType::Type(_, ty) => of(ty),
    }
}

/// Whether the function only gives words for people: `&'static str`, or what a formatter gives.
pub(crate) fn is_words(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    if let Type::Path(path) = &**ty {
        let names: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        return names.ends_with(&["fmt".to_owned(), "Result".to_owned()]);
    }
    let Type::Reference(reference) = &**ty else { return false };
    reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static")
        && matches!(&*reference.elem, Type::Path(path) if path.path.is_ident("str"))
}

/// Whether the function gives an iterator whose type only it knows.
pub(crate) fn is_iterator(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    let Type::ImplTrait(opaque) = &**ty else { return false };
    opaque.bounds.iter().any(|bound| {
        matches!(bound, syn::TypeParamBound::Trait(of) if of.path.segments.last().is_some_and(|last| last.ident == "Iterator"))
    })
}

fn of(ty: &Type) -> Vec<TokenStream> {
    match ty {
        Type::Path(path) => of_path(path),
        Type::Paren(inner) => of(&inner.elem),
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => vec![quote!(""), quote!("xyzzy")],
            Type::Slice(_) if reference.mutability.is_none() => vec![quote!(&[])],
            Type::Slice(_) | Type::TraitObject(_) => Vec::new(),
            elem => leaked(elem, reference.mutability.is_some()),
        },
        Type::Tuple(tuple) => of_tuple(tuple.elems.iter().map(of).collect()),
        _ => Vec::new(),
    }
}

/// A reference that is good for any lifetime.
fn leaked(elem: &Type, mutable: bool) -> Vec<TokenStream> {
    let leak = |value| {
        if mutable {
            quote!(alloc::boxed::Box::leak(alloc::boxed::Box::new(#value)))
        } else {
            quote!(&*alloc::boxed::Box::leak(alloc::boxed::Box::new(#value)))
        }
    };
    of(elem).into_iter().map(leak).collect()
}

fn of_tuple(parts: Vec<Vec<TokenStream>>) -> Vec<TokenStream> {
    let mut rows: Vec<Vec<TokenStream>> = vec![Vec::new()];
    for values in parts {
        let longer = |row: &Vec<TokenStream>| {
            let row = row.clone();
            values.clone().into_iter().map(move |value| {
                let mut row = row.clone();
                row.push(value);
                row
            })
        };
        rows = rows.iter().flat_map(longer).collect();
    }
    rows.truncate(TUPLES_MAX);
    rows.into_iter().map(|row| if row.is_empty() { quote!(()) } else { quote!((#(#row,)*)) }).collect()
}

fn of_path(path: &TypePath) -> Vec<TokenStream> {
    let Some(last) = path.path.segments.last() else { return Vec::new() };
    let inner = || -> Vec<TokenStream> {
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Vec::new() };
        let first = arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(of(ty)),
            _ => None,
        });
        first.unwrap_or_default()
    };
    let wrapped = |wrap: fn(TokenStream) -> TokenStream| inner().into_iter().map(wrap);
    match last.ident.to_string().as_str() {
        "bool" => vec![quote!(true), quote!(false)],
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => vec![quote!(0), quote!(1)],
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => vec![quote!(0), quote!(1), quote!(-1)],
        "String" => {
            vec![quote!(alloc::string::String::new()), quote!(alloc::string::String::from("xyzzy"))]
        }
        "Option" => core::iter::once(quote!(None)).chain(wrapped(|value| quote!(Some(#value)))).collect(),
        "Result" => wrapped(|value| quote!(Ok(#value))).collect(),
        "Box" => wrapped(|value| quote!(alloc::boxed::Box::new(#value))).collect(),
        "Arc" => wrapped(|value| quote!(alloc::sync::Arc::new(#value))).collect(),
        "Vec" | "SmallVec" | "BTreeMap" | "BTreeSet" => vec![quote!(Default::default())],
        _ => vec![quote!(Default::default())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values_of(output: &str) -> Vec<String> {
        let parsed: ReturnType = syn::parse_str(output).unwrap();
        values(&parsed).into_iter().map(|value| value.to_string().replace(' ', "")).collect()
    }

    #[test]
    fn words_for_people_are_known_by_their_type() {
        let is_words = |output: &str| is_words(&syn::parse_str(output).unwrap());

        assert!(is_words("-> &'static str"));
        assert!(is_words("-> core::fmt::Result"));
        assert!(!is_words("-> Result<(), Refusal>"));
    }

    #[test]
    fn a_type_has_its_default_ish_values() {
        assert_eq!(values_of(""), ["()"]);
        assert_eq!(values_of("-> bool"), ["true", "false"]);
        assert_eq!(values_of("-> Result<(), Refusal>"), ["Ok(())"]);
        assert_eq!(values_of("-> Option<u32>"), ["None", "Some(0)", "Some(1)"]);
        assert_eq!(
            values_of("-> (bool, Offset)"),
            ["(true,Default::default(),)", "(false,Default::default(),)"]
        );
        assert_eq!(values_of("-> impl Fn()"), Vec::<String>::new());
    }
}
