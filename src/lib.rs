//! weir as a library, so that tests can run the program in-process. See `ARCHITECTURE.md` for the map.

pub mod catalog;
pub mod cli;
pub mod gates;
pub mod service;
