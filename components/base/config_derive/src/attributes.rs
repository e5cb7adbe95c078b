//! Reading of `#[config(…)]` and doc comments.

use syn::{Attribute, Error, Expr, ExprLit, ExprPath, Lit, LitStr, Meta, Result, meta::ParseNestedMeta};

/// What can stand on a field or variant.
#[derive(Default)]
pub(crate) struct Item {
    pub(crate) default: Option<Expr>,
    pub(crate) is_default: bool,
    pub(crate) rename: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) deprecated_aliases: Vec<LitStr>,
    pub(crate) flatten: bool,
    pub(crate) required: bool,
    pub(crate) skip: bool,
    pub(crate) no_effect: Option<LitStr>,
    pub(crate) unsupported: Option<LitStr>,
    pub(crate) deprecated: Option<LitStr>,
    pub(crate) doc: String,
}

/// What can stand on a struct or enum.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) validate: Option<ExprPath>,
    pub(crate) ignore_case: bool,
    pub(crate) doc: String,
}

impl Item {
    pub(crate) fn of_field(attributes: &[Attribute]) -> Result<Self> {
        let mut item = Self { doc: doc(attributes), ..Self::default() };
        each(attributes, |meta| {
            let name = name(&meta)?;
            match name.as_str() {
                "default" => item.default = Some(meta.value()?.parse()?),
                "rename" => item.rename = Some(meta.value()?.parse()?),
                "alias" => item.aliases.push(meta.value()?.parse()?),
                "deprecated_alias" => item.deprecated_aliases.push(meta.value()?.parse()?),
                "flatten" => item.flatten = true,
                "required" => item.required = true,
                "skip" => item.skip = true,
                "no_effect" => item.no_effect = Some(meta.value()?.parse()?),
                "unsupported" => item.unsupported = Some(meta.value()?.parse()?),
                "deprecated" => item.deprecated = Some(meta.value()?.parse()?),
                _ => return Err(meta.error("unknown attribute of a setting")),
            }
            Ok(())
        })?;
        Ok(item)
    }

    pub(crate) fn of_variant(attributes: &[Attribute]) -> Result<Self> {
        let mut item = Self { doc: doc(attributes), ..Self::default() };
        each(attributes, |meta| {
            let name = name(&meta)?;
            match name.as_str() {
                "default" => item.is_default = true,
                "rename" => item.rename = Some(meta.value()?.parse()?),
                "alias" => item.aliases.push(meta.value()?.parse()?),
                _ => return Err(meta.error("unknown attribute of a choice")),
            }
            Ok(())
        })?;
        Ok(item)
    }
}

impl Container {
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut container = Self { doc: doc(attributes), ..Self::default() };
        each(attributes, |meta| {
            let name = name(&meta)?;
            match name.as_str() {
                "validate" => container.validate = Some(meta.value()?.parse()?),
                "ignore_case" => container.ignore_case = true,
                _ => return Err(meta.error("unknown attribute of a block or choice")),
            }
            Ok(())
        })?;
        Ok(container)
    }
}

fn name(meta: &ParseNestedMeta<'_>) -> Result<String> {
    meta.path.get_ident().map(ToString::to_string).ok_or_else(|| meta.error("a single word is expected"))
}

fn each(attributes: &[Attribute], mut f: impl FnMut(ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("config")) {
        attribute.parse_nested_meta(&mut f)?;
    }
    Ok(())
}

/// The doc comment: lines without their leading space.
fn doc(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        if let Meta::NameValue(meta) = &attribute.meta
            && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value
        {
            let text = text.value();
            lines.push(text.strip_prefix(' ').unwrap_or(&text).to_owned());
        }
    }
    lines.join("\n").trim().to_owned()
}

/// An error for attributes that contradict each other.
pub(crate) fn conflict(spanned: &dyn quote::ToTokens, message: &str) -> Error {
    Error::new_spanned(spanned.to_token_stream(), message)
}
