//! A component that uses a limiter, which measures as long as any of them runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::limiter::Limiter;

/// A user of a limiter. Starting one twice, or stopping it twice, counts once.
#[derive(Debug)]
pub struct User {
    limiter: Arc<Limiter>,
    started: AtomicBool,
}

impl User {
    /// A user that has not started.
    #[must_use]
    pub const fn new(limiter: Arc<Limiter>) -> Self {
        Self { limiter, started: AtomicBool::new(false) }
    }

    /// What it uses.
    #[must_use]
    pub const fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// The first user's start starts the measuring.
    pub fn start(&self) {
        if !self.started.swap(true, Ordering::AcqRel) {
            self.limiter.start();
        }
    }

    /// The last user's end stops the measuring and opens the gate.
    pub async fn stop(&self) {
        if self.started.swap(false, Ordering::AcqRel) {
            self.limiter.stop().await;
        }
    }
}
