//! `#[derive(Config)]`: structs become blocks of settings, unit enums become choices.
//!
//! Generates code against the `config` crate, which re-exports the macro and documents what decoding means; this crate
//! only reads attributes and writes impls.
//!
//! On structs with named fields, generates `Default`, `config::Decode` and `config::Block`:
//!
//! | attribute | meaning |
//! |---|---|
//! | `#[config(validate = path)]` (struct) | `fn(&Self, &mut Validator<'_>)`, run after the blocks inside |
//! | `#[config(default = expr)]` | default of the field; a string literal is converted with `Into`; without it `Default::default()` |
//! | `#[config(rename = "key")]` | key, if it is not the field's name |
//! | `#[config(alias = "key")]` | another key (repeatable) |
//! | `#[config(deprecated_alias = "key")]` | an older key, with a warning (repeatable) |
//! | `#[config(flatten)]` | the settings of this block are written beside the others |
//! | `#[config(required)]` | must be written where the block is written |
//! | `#[config(no_effect = "why")]` | accepted, checked, and warned about |
//! | `#[config(unsupported = "why")]` | refused with the reason; type `config::Unsupported` |
//! | `#[config(deprecated = "use …")]` | works, with a warning |
//! | `#[config(skip)]` | not a setting |
//!
//! On enums with unit variants only, generates `config::Decode` and `config::Choice`, and `Default` when a variant is marked
//! `#[config(default)]`. Values are the variants' names in snake_case unless `rename`d; `alias` is repeatable;
//! `#[config(ignore_case)]` on the enum compares without regard to ASCII case. Doc comments become documentation.

mod attributes;
mod choice;
mod structs;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, parse_macro_input};

/// See the crate's documentation for attributes.
#[proc_macro_derive(Config, attributes(config))]
pub fn derive_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let expanded = match &input.data {
        Data::Struct(data) => structs::expand(&input, data),
        Data::Enum(data) => choice::expand(&input, data),
        Data::Union(_) => Err(Error::new_spanned(&input.ident, "a union cannot be configured")),
    };
    expanded.unwrap_or_else(Error::into_compile_error).into()
}
