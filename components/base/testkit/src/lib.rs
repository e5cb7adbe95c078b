//! What tests share. A dev-dependency only; nothing here is linked into the program.
//!
//! - [`otlp_arbitrary`]: random OTLP requests as the reference implementation's types, and their bytes.
//! - [`otlp_scramble`]: other legal encodings of the same request.

pub mod otlp_arbitrary;
pub mod otlp_scramble;
