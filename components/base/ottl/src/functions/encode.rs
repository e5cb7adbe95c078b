//! Base64 and text encodings.
//!
//! What is decoded becomes text, and text is UTF-8 here: bytes that are not become U+FFFD.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::Encoding;

use super::make::{Outcome, TARGET, converter, function, value};
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Argument, Arguments, Built, Convert, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("Base64Encode", &[TARGET, Param::optional("variant", ParamKind::Value)], |arguments| {
        let variant = arguments.value_opt("variant").unwrap_or_else(|| Expr::Literal(Value::Str("base64".into())));
        let variant = Chosen::new(variant, base64_variant, "a base64 variant")?;
        converter(Base64Encode { target: arguments.value("target")?, variant })
    }),
    function("Base64Decode", &[TARGET], |arguments| {
        arguments.insert("encoding", Argument::Value(Expr::Literal(Value::Str("base64".into()))));
        decode(arguments)
    }),
    function("Decode", &[TARGET, value("encoding")], decode),
];

const fn engine(alphabet: &alphabet::Alphabet, padding: bool) -> GeneralPurpose {
    let mode = if padding { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(padding)
        .with_decode_padding_mode(mode)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

static STANDARD: GeneralPurpose = engine(&alphabet::STANDARD, true);
static STANDARD_RAW: GeneralPurpose = engine(&alphabet::STANDARD, false);
static URL: GeneralPurpose = engine(&alphabet::URL_SAFE, true);
static URL_RAW: GeneralPurpose = engine(&alphabet::URL_SAFE, false);

fn base64_variant(name: &str) -> Option<&'static GeneralPurpose> {
    Some(match name {
        "base64" => &STANDARD,
        "base64-raw" => &STANDARD_RAW,
        "base64-url" => &URL,
        "base64-raw-url" => &URL_RAW,
        _ => return None,
    })
}

/// What a name stands for: looked up with the statement if it is a literal.
enum Chosen<T> {
    Known(T),
    Computed { name: Expr, look_up: fn(&str) -> Option<T>, what: &'static str },
}

impl<T: Copy> Chosen<T> {
    fn new(name: Expr, look_up: fn(&str) -> Option<T>, what: &'static str) -> Result<Self, String> {
        match name.literal() {
            Some(Value::Str(text)) => look_up(text).map(Self::Known).ok_or_else(|| format!("`{text}` is not {what}")),
            Some(other) => Err(format!("`{}` is not {what}", other.to_text())),
            None => Ok(Self::Computed { name, look_up, what }),
        }
    }

    fn get(&self, on: &mut Subject<'_>) -> Result<T, RunError> {
        match self {
            Self::Known(known) => Ok(*known),
            Self::Computed { name, look_up, what } => {
                let name = name.eval(on)?;
                let name = name.as_str()?;
                look_up(name).ok_or_else(|| RunError::new(format!("`{name}` is not {what}")))
            }
        }
    }
}

struct Base64Encode {
    target: Expr,
    variant: Chosen<&'static GeneralPurpose>,
}

impl Convert for Base64Encode {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let variant = self.variant.get(on)?;
        let encoded = self.target.with_str(on, |text| text.map(|text| variant.encode(text)))?;
        encoded.map(Value::text).ok_or_else(|| RunError::expected("a string", &Value::Nil))
    }
}

#[derive(Clone, Copy)]
enum Decoder {
    Base64(&'static GeneralPurpose),
    /// Every byte is the character of that number.
    Latin1,
    Charset(&'static Encoding),
}

/// By its IANA name. What the web calls ISO-8859-1 is Windows-1252, which differs; `utf-16` is little-endian.
fn decoder(name: &str) -> Option<Decoder> {
    if let Some(engine) = base64_variant(name) {
        return Some(Decoder::Base64(engine));
    }
    Some(match name.to_ascii_lowercase().as_str() {
        "" | "utf-8" | "utf8" | "ascii" | "us-ascii" | "utf-8-raw" | "utf8-raw" | "nop" => {
            Decoder::Charset(encoding_rs::UTF_8)
        }
        "utf-16" | "utf16" | "utf-16le" => Decoder::Charset(encoding_rs::UTF_16LE),
        "utf-16be" => Decoder::Charset(encoding_rs::UTF_16BE),
        "iso-8859-1" | "iso_8859-1" | "iso_8859-1:1987" | "iso-ir-100" | "latin1" | "l1" | "ibm819" | "cp819"
        | "csisolatin1" => Decoder::Latin1,
        "replacement" | "x-user-defined" => return None,
        other => Decoder::Charset(Encoding::for_label_no_replacement(other.as_bytes())?),
    })
}

impl Decoder {
    fn decode(self, bytes: &[u8]) -> Result<String, RunError> {
        match self {
            Self::Base64(engine) => {
                // Line breaks are allowed anywhere.
                let joined: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
                let decoded = engine.decode(joined).map_err(|error| {
                    RunError::new(format!(
                        "the text is not in base64: {}",
                        error.to_string().to_lowercase().trim_end_matches('.')
                    ))
                })?;
                Ok(String::from_utf8(decoded)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
            }
            Self::Latin1 => Ok(bytes.iter().copied().map(char::from).collect()),
            Self::Charset(encoding) => Ok(encoding.decode_without_bom_handling(bytes).0.into_owned()),
        }
    }
}

struct Decode {
    target: Expr,
    encoding: Chosen<Decoder>,
}

impl Convert for Decode {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let decoder = self.encoding.get(on)?;
        match self.target.eval(on)? {
            Value::Str(text) => decoder.decode(text.as_bytes()),
            Value::Bytes(bytes) => decoder.decode(&bytes),
            other => Err(RunError::expected("a string or bytes", &other)),
        }
        .map(Value::text)
    }
}

fn decode(arguments: &mut Arguments) -> Result<Built, String> {
    let encoding = Chosen::new(arguments.value("encoding")?, decoder, "an encoding that can be decoded")?;
    converter(Decode { target: arguments.value("target")?, encoding })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, refused_or_fails};
    use super::*;

    fn bytes(bytes: &[u8]) -> Value<'static> {
        Value::Bytes(bytes.to_vec().into())
    }

    #[test]
    fn decoding() {
        for (target, encoding, expected) in [
            ("aGVsbG8=".into(), "base64", "hello"),
            ("aGVs\r\nbG8=".into(), "base64", "hello"),
            ("aGVsbG8".into(), "base64-raw", "hello"),
            ("aGVsbG9-Pg==".into(), "base64-url", "hello~>"),
            ("aGVsbG9-Pg".into(), "base64-raw-url", "hello~>"),
            ("_-8=".into(), "base64-url", "\u{fffd}\u{fffd}"),
            (bytes(b"aGVsbG8="), "base64", "hello"),
            (bytes(&[0xe9]), "iso-8859-1", "é"),
            (bytes(&[0x80]), "ISO-8859-1", "\u{80}"),
            (bytes(&[0x80]), "windows-1252", "€"),
            (bytes(&[0xa4]), "iso-8859-15", "€"),
            (bytes(&[0x61, 0]), "utf-16", "a"),
            (bytes(&[0x61, 0]), "utf-16le", "a"),
            (bytes(&[0, 0x61]), "UTF-16BE", "a"),
            (bytes(&[0xff, 0xfe, 0x61, 0]), "utf-16", "\u{feff}a"),
            (bytes(&[0xff, 0x61]), "utf-8", "\u{fffd}a"),
            (bytes(&[0xff, 0x61]), "us-ascii", "\u{fffd}a"),
            (bytes(&[0x82, 0xa0]), "shift_jis", "あ"),
            (bytes(&[0xa4, 0xa2]), "EUC-JP", "あ"),
            (bytes(&[0xb0, 0xa1]), "gbk", "啊"),
            (bytes(&[0xe1]), "koi8-r", "А"),
            ("x".into(), "", "x"),
            ("".into(), "utf-16", ""),
        ] {
            gives(Call::to("Decode").arg("target", target).arg("encoding", encoding), expected);
        }
        gives(Call::to("Base64Decode").arg("target", "aGVsbG8="), "hello");
    }

    #[test]
    fn what_cannot_be_decoded() {
        let call = |target: Value<'static>, encoding: &'static str| {
            Call::to("Decode").arg("target", target).arg("encoding", encoding)
        };
        fails(call("aGVsbG8".into(), "base64"), "the text is not in base64: invalid padding");
        fails(call("aGVs!G8=".into(), "base64"), "the text is not in base64");
        fails(Call::to("Base64Decode").arg("target", "aGVsbG8"), "the text is not in base64");
        fails(call(1.into(), "utf-8"), "expected a string or bytes, found int");
        fails(call(Value::Nil, "utf-8"), "expected a string or bytes, found nil");
        for encoding in ["nope", "utf-32", "utf-7", "replacement"] {
            refused_or_fails(call("x".into(), encoding), "is not an encoding that can be decoded");
        }
    }

    #[test]
    fn encoding() {
        gives(Call::to("Base64Encode").arg("target", "hello?>"), "aGVsbG8/Pg==");
        for (variant, expected) in [
            ("base64", "aGVsbG8/Pg=="),
            ("base64-raw", "aGVsbG8/Pg"),
            ("base64-url", "aGVsbG8_Pg=="),
            ("base64-raw-url", "aGVsbG8_Pg"),
        ] {
            gives(Call::to("Base64Encode").arg("target", "hello?>").arg("variant", variant), expected);
        }
        refused_or_fails(
            Call::to("Base64Encode").arg("target", "h").arg("variant", "x"),
            "`x` is not a base64 variant",
        );
        fails(Call::to("Base64Encode").arg("target", 1), "expected a string, found int");
        fails(Call::to("Base64Encode").arg("target", Value::Nil), "expected a string, found nil");
    }
}
