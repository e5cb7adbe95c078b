//! When memory is too short for more telemetry: what the `memory_limiter` processor and the extension share.
//!
//! A [`limiter::Limiter`] opens and closes a [`pdata::Gate`] that is asked before a body is read. Who asks, and what is
//! answered, is its users' business.
//!
//! Reading order: [`config`], [`limits`] (configuration to bytes), `component::memory` (what the kernel says), [`rule`]
//! (when to refuse: the heart of it), [`limiter`] (the task), [`User`] (what a component holds).
//!
//! Deliberately absent: components, protocols.

pub mod config;
pub mod limiter;
pub mod limits;
pub mod rule;
mod user;

pub use config::MemoryLimiterConfig;
pub use limiter::Limiter;
pub use limits::Limits;
pub use user::User;
