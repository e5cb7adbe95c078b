//! The components in this binary. The only place that names concrete ones; adding one is a crate, a dependency, and a
//! line here.

use component::{Factory, Kind};

/// Every factory in this binary, by kind and then by name.
#[must_use]
pub fn factories() -> Vec<Factory> {
    let mut factories = vec![
        receiver_otlp::factory(),
        receiver_nop::factory(),
        processor_attributes::factory(),
        processor_batch::factory(),
        processor_memory_limiter::factory(),
        processor_probabilistic_sampler::factory(),
        processor_tail_sampling::factory(),
        processor_transform::factory(),
        processor_filter::factory(),
        processor_resource::factory(),
        processor_redaction::factory(),
        exporter_otlp_grpc::factory(),
        exporter_otlp_http::factory(),
        exporter_debug::factory(),
        exporter_file::factory(),
        exporter_nop::factory(),
        exporter_load_balancing::factory(),
        connector_forward::factory(),
        connector_routing::factory(),
        extension_basicauth::factory(),
        extension_bearertokenauth::factory(),
        extension_file_storage::factory(),
        extension_headers_setter::factory(),
        extension_health_check::factory(),
        extension_memory_limiter::factory(),
        extension_overload::factory(),
    ];
    factories.sort_by_key(|factory| (factory.kind, factory.type_name));
    factories
}

/// The factories of this binary, to be looked up by kind and type name.
#[derive(Debug)]
pub struct Catalog(Vec<Factory>);

impl Default for Catalog {
    fn default() -> Self {
        Self(factories())
    }
}

impl Catalog {
    /// A catalog of other components, for tests.
    #[must_use]
    pub fn of(factories: Vec<Factory>) -> Self {
        Self(factories)
    }

    /// This binary's components and `more`, for tests.
    #[must_use]
    pub fn with(more: Vec<Factory>) -> Self {
        Self(factories().into_iter().chain(more).collect())
    }

    /// The factory of that kind that goes by `type_name`, canonical or alias.
    #[must_use]
    pub fn find(&self, kind: Kind, type_name: &str) -> Option<&Factory> {
        self.0.iter().find(|factory| factory.kind == kind && factory.is_named(type_name))
    }

    /// Every factory of that kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Factory> {
        self.0.iter().filter(move |factory| factory.kind == kind)
    }
}
