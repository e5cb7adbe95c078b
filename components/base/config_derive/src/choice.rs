//! Unit enums: a setting that takes one of a few words.

use crate::attributes::{Container, Item};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, DeriveInput, Error, Fields, Result, ext::IdentExt};

pub(crate) fn expand(input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    let container = Container::of(&input.attrs)?;
    if let Some(path) = &container.validate {
        return Err(Error::new_spanned(path, "a choice is valid as soon as it is decoded"));
    }
    let (mut values, mut from_index, mut to_name, mut default) = (Vec::new(), Vec::new(), Vec::new(), None);
    for (index, variant) in data.variants.iter().enumerate() {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "only variants without fields can be read from a word"));
        }
        let item = Item::of_variant(&variant.attrs)?;
        let ident = &variant.ident;
        let name = item.rename.map_or_else(|| snake_case(&ident.unraw().to_string()), |rename| rename.value());
        let (aliases, doc) = (&item.aliases, &item.doc);
        values.push(quote!(::config::ChoiceValue { name: #name, aliases: &[#(#aliases),*], doc: #doc }));
        from_index.push(quote!(::core::option::Option::Some(#index) => Self::#ident));
        to_name.push(quote!(Self::#ident => #name));
        if item.is_default && default.replace(ident.clone()).is_some() {
            return Err(Error::new_spanned(ident, "only one variant can be the default"));
        }
    }
    let ignore_case = container.ignore_case;
    let name = &input.ident;
    let default = default.map(|variant| {
        quote! {
            #[automatically_derived]
            impl ::core::default::Default for #name {
                fn default() -> Self {
                    Self::#variant
                }
            }
        }
    });
    Ok(quote! {
        #default

        #[automatically_derived]
        impl ::config::Choice for #name {
            const VALUES: &'static [::config::ChoiceValue] = &[#(#values),*];

            fn as_str(&self) -> &'static str {
                match self { #(#to_name),* }
            }
        }

        #[automatically_derived]
        impl ::config::Decode for #name {
            const SPLIT_SCALAR: bool = true;

            fn decode(node: &::config::Node, base: Self, cx: &mut ::config::Decoder<'_>) -> Self {
                match ::config::decode_choice(node, <Self as ::config::Choice>::VALUES, #ignore_case, cx) {
                    #(#from_index,)*
                    _ => base,
                }
            }

            fn schema() -> ::config::Schema {
                ::config::Schema::Choice(<Self as ::config::Choice>::VALUES)
            }

            fn encode(&self) -> ::config::Value {
                ::config::Value::string(::config::Choice::as_str(self))
            }
        }
    })
}

/// `HttpProtobuf` → `http_protobuf`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for (index, c) in name.chars().enumerate() {
        if c.is_uppercase() && index > 0 {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
