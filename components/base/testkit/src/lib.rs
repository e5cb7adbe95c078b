//! What tests share. A dev-dependency only; nothing here is linked into the program.
//!
//! - [`items`]: small valid requests whose items are numbered, so that tests can compare item by item.
//! - [`server`]: a gRPC and an HTTP server that are written by hand, for exporters.
//! - [`sink`]: a consumer that records, and answers by a script: errors, delays, silence.
//! - [`world`]: what a component is created and started with; the head of a pipeline; checks of the books.
//! - [`suite`]: the contract, as suites that every component runs.
//! - [`readme`]: option tables that fail when stale.
//! - [`otlp_arbitrary`]: random OTLP requests as the reference implementation's types, and their bytes.
//! - [`otlp_fuzz`]: what the fuzz targets do with bytes, for the smoke tests too.
//! - [`otlp_scramble`]: other legal encodings of the same request.
//!
//! Suites return what is wrong as text instead of panicking, so that tests can hold deliberately broken components
//! against them.

pub mod items;
pub mod otlp_arbitrary;
pub mod otlp_fuzz;
pub mod otlp_scramble;
pub mod readme;
pub mod server;
pub mod sink;
pub mod suite;
pub mod world;

pub use sink::{Answer, Received, Sink};
pub use suite::Subject;
pub use world::{Head, World};
