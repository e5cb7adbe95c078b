//! Structs: one block of settings.

use crate::attributes::{Container, Item, conflict};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{DataStruct, DeriveInput, Error, Expr, ExprLit, Field, Fields, Lit, Result, ext::IdentExt};

/// The code of one field in each of the generated functions.
struct Parts {
    default: TokenStream,
    read: TokenStream,
    field: TokenStream,
    encode: TokenStream,
    validate: TokenStream,
}

pub(crate) fn expand(input: &DeriveInput, data: &DataStruct) -> Result<TokenStream> {
    let container = Container::of(&input.attrs)?;
    let fields: Vec<&Field> = match &data.fields {
        Fields::Named(fields) => fields.named.iter().collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(_) => return Err(Error::new_spanned(&input.ident, "settings need names")),
    };
    let mut all = Vec::new();
    for field in fields {
        all.push(parts(field)?);
    }
    let defaults = all.iter().map(|parts| &parts.default);
    let reads = all.iter().map(|parts| &parts.read);
    let descriptions = all.iter().map(|parts| &parts.field);
    let encodes = all.iter().map(|parts| &parts.encode);
    let validates = all.iter().map(|parts| &parts.validate);
    let own_validate = container.validate.map(|path| quote!(#path(self, validator);));
    let doc = container.doc;
    let name = &input.ident;
    let (generics, arguments, conditions) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::core::default::Default for #name #arguments #conditions {
            fn default() -> Self {
                Self { #(#defaults),* }
            }
        }

        #[automatically_derived]
        impl #generics ::config::Block for #name #arguments #conditions {
            fn read(self, map: &mut ::config::MapReader<'_>, cx: &mut ::config::Decoder<'_>) -> Self {
                let _ = (&map, &cx);
                Self { #(#reads),* }
            }

            fn fields() -> ::std::vec::Vec<::config::Field> {
                let mut fields = ::std::vec::Vec::new();
                #(#descriptions)*
                fields
            }

            fn encode_into(&self, entries: &mut ::std::vec::Vec<(::config::Key, ::config::Node)>) {
                let _ = &entries;
                #(#encodes)*
            }

            fn validate_fields(&self, validator: &mut ::config::Validator<'_>) {
                let _ = &validator;
                #(#validates)*
                #own_validate
            }
        }

        #[automatically_derived]
        impl #generics ::config::Decode for #name #arguments #conditions {
            fn decode(node: &::config::Node, base: Self, cx: &mut ::config::Decoder<'_>) -> Self {
                let ::core::option::Option::Some(mut map) = ::config::MapReader::open(node, cx) else {
                    return base;
                };
                let value = ::config::Block::read(base, &mut map, cx);
                map.finish(<Self as ::config::Block>::fields, cx);
                value
            }

            fn schema() -> ::config::Schema {
                let default = <Self as ::core::default::Default>::default();
                ::config::Schema::Block(::config::BlockSchema {
                    doc: #doc,
                    fields: <Self as ::config::Block>::fields(),
                    defaults: ::config::Decode::encode(&default),
                })
            }

            fn encode(&self) -> ::config::Value {
                let mut entries = ::std::vec::Vec::new();
                ::config::Block::encode_into(self, &mut entries);
                ::config::Value::Map(entries)
            }

            fn validate(&self, validator: &mut ::config::Validator<'_>) {
                ::config::Block::validate_fields(self, validator);
            }
        }
    })
}

fn parts(field: &Field) -> Result<Parts> {
    let item = Item::of_field(&field.attrs)?;
    let Some(ident) = &field.ident else { return Err(Error::new_spanned(field, "settings need names")) };
    let kind = &field.ty;
    let value = default_of(item.default.as_ref());
    let default = quote!(#ident: #value);
    let has_key_attributes = item.rename.is_some()
        || item.required
        || item.no_effect.is_some()
        || item.unsupported.is_some()
        || item.deprecated.is_some()
        || !item.aliases.is_empty()
        || !item.deprecated_aliases.is_empty();
    if (item.flatten || item.skip) && has_key_attributes {
        return Err(conflict(ident, "`flatten` and `skip` leave no key that the other attributes could describe"));
    }
    if item.skip {
        let nothing = TokenStream::new();
        let read = quote!(#ident: self.#ident);
        return Ok(Parts { default, read, field: nothing.clone(), encode: nothing.clone(), validate: nothing });
    }
    if item.flatten {
        return Ok(Parts {
            default,
            read: quote!(#ident: ::config::Block::read(self.#ident, map, cx)),
            field: quote!(fields.extend(<#kind as ::config::Block>::fields());),
            encode: quote!(::config::Block::encode_into(&self.#ident, entries);),
            validate: quote!(::config::Block::validate_fields(&self.#ident, validator);),
        });
    }
    let key = item.rename.map_or_else(|| ident.unraw().to_string(), |rename| rename.value());
    let (aliases, deprecated_aliases) = (&item.aliases, &item.deprecated_aliases);
    let required = item.required;
    let no_effect = option(item.no_effect.as_ref());
    let unsupported = option(item.unsupported.as_ref());
    let deprecated = option(item.deprecated.as_ref());
    let doc = item.doc;
    let spec = quote! {
        &::config::FieldSpec {
            key: #key,
            aliases: &[#(#aliases),*],
            deprecated_aliases: &[#(#deprecated_aliases),*],
            required: #required,
            no_effect: #no_effect,
            unsupported: #unsupported,
            deprecated: #deprecated,
        }
    };
    Ok(Parts {
        default,
        read: quote!(#ident: map.field(#spec, self.#ident, cx)),
        field: quote! {
            fields.push(::config::Field { spec: #spec, doc: #doc, schema: <#kind as ::config::Decode>::schema });
        },
        encode: quote! {
            entries.push((::config::Key::new(#key), ::config::Node::from(::config::Decode::encode(&self.#ident))));
        },
        validate: quote! {
            validator.enter_field(#spec, |validator| ::config::Decode::validate(&self.#ident, validator));
        },
    })
}

fn default_of(expression: Option<&Expr>) -> TokenStream {
    match expression {
        None => quote!(::core::default::Default::default()),
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => quote!(::core::convert::Into::into(#text)),
        Some(expression) => expression.to_token_stream(),
    }
}

fn option(text: Option<&syn::LitStr>) -> TokenStream {
    match text {
        Some(text) => quote!(::core::option::Option::Some(#text)),
        None => quote!(::core::option::Option::None),
    }
}
