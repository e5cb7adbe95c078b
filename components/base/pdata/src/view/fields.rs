//! Reading one field of a message: what every view is made of.

use std::marker::PhantomData;

use crate::view::AttributesView;
use crate::wire::{Field, LEN, Scan};

/// The first occurrence of a field; in canonical bytes the only one, unless it is repeated.
#[inline]
pub(super) fn find(message: &[u8], number: u32) -> Option<Field<'_>> {
    Scan::new(message).find(|field| field.number() == number)
}

/// The content of the first length-delimited field of that number; empty when absent.
#[inline]
pub(super) fn message(bytes: &[u8], number: u32) -> &[u8] {
    find(bytes, number).filter(|field| field.wire_type() == LEN).map_or(&[], |field| field.value)
}

/// Text that was validated; anything else reads as empty.
#[inline]
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A type that a field can be read as. The wire type tells fixed from variable numbers.
pub(super) trait Read<'a> {
    fn read(message: &'a [u8], number: u32) -> Self;
}

fn scalar(message: &[u8], number: u32) -> u64 {
    find(message, number).map_or(0, Field::bits)
}

impl<'a> Read<'a> for u64 {
    fn read(message: &'a [u8], number: u32) -> Self {
        scalar(message, number)
    }
}

impl<'a> Read<'a> for u32 {
    fn read(message: &'a [u8], number: u32) -> Self {
        scalar(message, number) as Self
    }
}

impl<'a> Read<'a> for i32 {
    fn read(message: &'a [u8], number: u32) -> Self {
        scalar(message, number) as Self
    }
}

impl<'a> Read<'a> for bool {
    fn read(message: &'a [u8], number: u32) -> Self {
        scalar(message, number) != 0
    }
}

impl<'a> Read<'a> for f64 {
    fn read(message: &'a [u8], number: u32) -> Self {
        Self::from_bits(scalar(message, number))
    }
}

impl<'a> Read<'a> for Option<f64> {
    fn read(message: &'a [u8], number: u32) -> Self {
        find(message, number).map(|field| f64::from_bits(field.bits()))
    }
}

impl<'a> Read<'a> for &'a str {
    fn read(bytes: &'a [u8], number: u32) -> Self {
        text(message(bytes, number))
    }
}

impl<'a, const N: usize> Read<'a> for Option<&'a [u8; N]> {
    fn read(bytes: &'a [u8], number: u32) -> Self {
        message(bytes, number).try_into().ok()
    }
}

impl<'a> Read<'a> for AttributesView<'a> {
    fn read(message: &'a [u8], number: u32) -> Self {
        Self::new(message, number)
    }
}

impl<'a, V> Read<'a> for Messages<'a, V> {
    fn read(message: &'a [u8], number: u32) -> Self {
        Self::new(message, number)
    }
}

impl<'a> Read<'a> for Texts<'a> {
    fn read(message: &'a [u8], number: u32) -> Self {
        Self(Messages::new(message, number))
    }
}

/// The views of a repeated message field, in order.
#[derive(Clone, Debug)]
pub struct Messages<'a, V> {
    fields: Scan<'a>,
    number: u32,
    view: PhantomData<fn() -> V>,
}

impl<'a, V> Messages<'a, V> {
    pub(super) fn new(message: &'a [u8], number: u32) -> Self {
        Self { fields: Scan::new(message), number, view: PhantomData }
    }

    pub(super) fn none() -> Self {
        Self::new(&[], 0)
    }
}

impl<'a, V: From<&'a [u8]>> Iterator for Messages<'a, V> {
    type Item = V;

    #[inline]
    fn next(&mut self) -> Option<V> {
        let number = self.number;
        self.fields.find(|field| field.number() == number).map(|field| V::from(field.value))
    }
}

/// The values of a repeated string field, in order.
#[derive(Clone, Debug)]
pub struct Texts<'a>(Messages<'a, &'a [u8]>);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(text)
    }
}

/// Declares a view over a message and an accessor per field; the return type says how the field is read.
macro_rules! view {
    ($(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: $kind:ty = $number:literal; )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name<'a>(&'a [u8]);

        impl<'a> $name<'a> {
            /// A view of the message with this content.
            #[must_use]
            pub fn new(message: &'a [u8]) -> Self {
                Self(message)
            }

            /// The content of the message.
            #[must_use]
            pub fn as_bytes(self) -> &'a [u8] {
                self.0
            }

            $(
                $(#[$field_doc])*
                #[must_use]
                pub fn $field(self) -> $kind {
                    crate::view::fields::Read::read(self.0, $number)
                }
            )*
        }

        impl<'a> From<&'a [u8]> for $name<'a> {
            fn from(message: &'a [u8]) -> Self {
                Self(message)
            }
        }
    };
}
pub(super) use view;
