//! What the three programs of this folder share: making OTLP load, counting it at the far end, and measuring a process in between.
//!
//! `payload` builds requests, `load` sends them through `client`, `sink` receives and counts them by `count`; `subject` runs a
//! program under test and `process` reads what it cost; `sampled` judges what a sampler kept;
//! `scenario` puts these together. Nothing here depends on weir: a subject
//! is a command line and an address.

pub mod client;
pub mod count;
pub mod latency;
pub mod load;
pub mod payload;
pub mod process;
pub mod sampled;
pub mod scenario;
pub mod sink;
pub mod subject;
pub mod table;
pub mod wire;
pub mod work;
