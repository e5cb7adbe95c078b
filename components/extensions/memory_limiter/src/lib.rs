//! The `memory_limiter` extension: a middleware of servers that refuses requests while memory is short, before their body
//! is read.
//!
//! It measures from start to shutdown and opens and closes one gate. Left to others: when to refuse (`limiter`, which the
//! processor of the same name shares), who asks the gate (`net`'s servers) and what a refused sender is told (receivers,
//! in their protocol's words).

use std::sync::Arc;

use component::memory::Probe;
use component::{BoxFuture, Component, Deadline, Extension, Factory, Host, ShutdownError, StartError};
use limiter::{Limiter, MemoryLimiterConfig, User};
use pdata::Gate;

const REFUSED_REQUESTS: &str = "weir_extension_memory_limiter_refused_requests";

/// The factory of `memory_limiter` extensions, measuring this process.
#[must_use]
pub fn factory() -> Factory {
    factory_with(Arc::new(Probe::default()))
}

/// A factory whose limiters measure by `probe`, for tests.
#[must_use]
pub fn factory_with(probe: Arc<Probe>) -> Factory {
    Factory::extension("memory_limiter", move |settings, config: Arc<MemoryLimiterConfig>| {
        let limiter = Limiter::new(&settings, &config, REFUSED_REQUESTS, Arc::clone(&probe))?;
        Ok(Arc::new(MemoryLimiter { user: User::new(limiter) }))
    })
}

/// The extension.
#[derive(Debug)]
pub struct MemoryLimiter {
    user: User,
}

impl Component for MemoryLimiter {
    fn start<'a>(&'a self, _host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.user.start();
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, _deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        Box::pin(async {
            self.user.stop().await;
            Ok(())
        })
    }
}

impl Extension for MemoryLimiter {
    fn server_gate(&self) -> Option<Arc<Gate>> {
        Some(Arc::clone(self.user.limiter().gate()))
    }
}
