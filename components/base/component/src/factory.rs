//! How the program learns of a component: one [`Factory`] per type.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use config::{Decode, Errors, Node, Schema};
use pdata::{ByteAccount, RequestPart, Signal};

use crate::ComponentId;
use crate::decisions::Decisions;
use crate::edge::Edge;
use crate::error::BuildError;
use crate::extension::{Extension, ExtensionRef};
use crate::lifecycle::{Component, Stage};
use crate::pressure::Pressure;
use crate::request::RequestKept;
use crate::row::Processor;
use crate::telemetry::Telemetry;

/// The five kinds of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The outside world to telemetry.
    Receiver,
    /// Telemetry to telemetry, inside a pipeline.
    Processor,
    /// Telemetry to the outside world or a store.
    Exporter,
    /// End of some pipelines, start of others.
    Connector,
    /// A service beside the pipelines.
    Extension,
}

impl Kind {
    /// `receiver`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Exporter => "exporter",
            Self::Connector => "connector",
            Self::Extension => "extension",
        }
    }

    /// The top-level key of its section: `receivers`.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Processor => "processors",
            Self::Exporter => "exporters",
            Self::Connector => "connectors",
            Self::Extension => "extensions",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How settled a component is for a signal, in the Collector's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Keys may change without notice.
    Alpha,
    /// Keys change with notice.
    Beta,
    /// Keys do not change.
    Stable,
}

impl Stability {
    /// `Stable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alpha => "Alpha",
            Self::Beta => "Beta",
            Self::Stable => "Stable",
        }
    }
}

/// What the program passes to a component it creates.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The component's ID in the YAML.
    pub id: ComponentId,
    /// Own metrics, labelled with the component.
    pub telemetry: Telemetry,
    /// The process-wide account of telemetry bytes.
    pub account: Arc<ByteAccount>,
    /// State shared between instances of one component ID.
    pub shared: Shared,
}

impl Settings {
    /// The degraded mode of the process.
    #[must_use]
    pub fn pressure(&self) -> &Arc<Pressure> {
        self.telemetry.registry().pressure()
    }

    /// What samplers of traces decided.
    #[must_use]
    pub fn decisions(&self) -> &Arc<Decisions> {
        self.telemetry.registry().decisions()
    }
}

/// Where instances of one component (per signal or pipeline) find what they share: a file, a limiter.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<HashMap<String, Weak<dyn Any + Send + Sync>>>>);

impl Shared {
    /// The instance under `key` (use the component's kind and ID), made by `create` when nobody holds one.
    ///
    /// # Errors
    /// What `create` answers.
    pub fn get_or_create<T: Send + Sync + 'static, E>(
        &self,
        key: &str,
        create: impl FnOnce() -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        let mut instances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ok(instance)) = instances.get(key).and_then(Weak::upgrade).map(Arc::downcast::<T>) {
            return Ok(instance);
        }
        let instance = create()?;
        let any: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(&instance);
        instances.insert(key.to_owned(), Arc::downgrade(&any));
        Ok(instance)
    }
}

/// Where a receiver hands its batches: one edge per signal in use.
#[derive(Clone, Debug, Default)]
pub struct Outputs(pub BTreeMap<Signal, Edge>);

impl Outputs {
    /// The edge for `signal`, if a pipeline of that signal uses the receiver.
    #[must_use]
    pub fn get(&self, signal: Signal) -> Option<&Edge> {
        self.0.get(&signal)
    }
}

/// Where a connector hands its batches.
#[derive(Clone, Debug)]
pub struct ConnectorOutputs {
    /// Signal of the receiving pipelines.
    pub signal: Signal,
    /// All of them at once.
    pub all: Edge,
    /// Each by pipeline ID, for connectors that choose.
    pub pipelines: BTreeMap<String, Edge>,
}

/// A decoded, valid configuration of a component, its type known to the factory alone.
pub type AnyConfig = Arc<dyn Any + Send + Sync>;

type CreateReceiver = dyn Fn(Settings, &AnyConfig, Outputs) -> Result<Arc<dyn Component>, BuildError> + Send + Sync;
type CreateProcessor = dyn Fn(Settings, &AnyConfig, Signal, Edge) -> Result<Processor, BuildError> + Send + Sync;
type CreateExporter = dyn Fn(Settings, &AnyConfig, Signal) -> Result<Arc<dyn Stage>, BuildError> + Send + Sync;
type CreateConnector =
    dyn Fn(Settings, &AnyConfig, Signal, ConnectorOutputs) -> Result<Arc<dyn Stage>, BuildError> + Send + Sync;
type CreateExtension = dyn Fn(Settings, &AnyConfig) -> Result<Arc<dyn Extension>, BuildError> + Send + Sync;

type References = dyn Fn(&AnyConfig) -> Vec<ExtensionRef> + Send + Sync;
type Followed = dyn Fn(&AnyConfig) -> Option<ComponentId> + Send + Sync;

/// Settings that do nothing in pipelines of these signals, with the reason.
type Idle = dyn Fn(&AnyConfig, &[Signal]) -> Vec<(&'static str, String)> + Send + Sync;
type Reads = dyn Fn(&AnyConfig, Option<Signal>) -> Vec<RequestPart> + Send + Sync;
type Keeps = dyn Fn(&AnyConfig) -> RequestKept + Send + Sync;

/// The constructor of a component, by kind.
pub enum Create {
    /// One instance per ID, for all its signals.
    Receiver(Box<CreateReceiver>),
    /// One instance per ID and pipeline.
    Processor(Box<CreateProcessor>),
    /// One instance per ID and signal.
    Exporter(Box<CreateExporter>),
    /// One instance per ID and pair of signals. The pairs it supports, from and to.
    Connector(&'static [(Signal, Signal)], Box<CreateConnector>),
    /// One instance per ID.
    Extension(Box<CreateExtension>),
}

/// Everything the program knows of a component type.
pub struct Factory {
    /// Its kind.
    pub kind: Kind,
    /// Canonical type name.
    pub type_name: &'static str,
    /// Deprecated type names, accepted with a warning.
    pub aliases: &'static [&'static str],
    /// Supported signals and how settled each is. Empty for extensions; connectors list the signals they take.
    pub signals: Vec<(Signal, Stability)>,
    decode: fn(&Node, &str, &mut Errors) -> AnyConfig,
    schema: fn() -> Schema,
    references: Box<References>,
    followed: Box<Followed>,
    idle: Box<Idle>,
    reads: Box<Reads>,
    keeps: Box<Keeps>,
    create: Create,
}

impl fmt::Debug for Create {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receiver(_) => "Create::Receiver",
            Self::Processor(_) => "Create::Processor",
            Self::Exporter(_) => "Create::Exporter",
            Self::Connector(..) => "Create::Connector",
            Self::Extension(_) => "Create::Extension",
        })
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factory").field("kind", &self.kind).field("type_name", &self.type_name).finish_non_exhaustive()
    }
}

fn typed<C: Send + Sync + 'static>(config: &AnyConfig) -> Arc<C> {
    Arc::clone(config).downcast::<C>().expect("the factory that decoded a configuration gets it back")
}

impl Factory {
    fn new<C: Decode + Default + Send + Sync + 'static>(kind: Kind, type_name: &'static str, create: Create) -> Self {
        Self {
            kind,
            type_name,
            aliases: &[],
            signals: Vec::new(),
            decode: |node, path, errors| Arc::new(config::decode(node, C::default(), path, errors)),
            schema: C::schema,
            references: Box::new(|_| Vec::new()),
            followed: Box::new(|_| None),
            idle: Box::new(|_, _| Vec::new()),
            reads: Box::new(|_, _| Vec::new()),
            keeps: Box::new(|_| RequestKept::EVERYTHING),
            create,
        }
    }

    /// A receiver type.
    pub fn receiver<C: Decode + Default + Send + Sync + 'static>(
        type_name: &'static str,
        create: impl Fn(Settings, Arc<C>, Outputs) -> Result<Arc<dyn Component>, BuildError> + Send + Sync + 'static,
    ) -> Self {
        let create = Create::Receiver(Box::new(move |settings, config, out| create(settings, typed(config), out)));
        Self::new::<C>(Kind::Receiver, type_name, create)
    }

    /// A processor type.
    pub fn processor<C: Decode + Default + Send + Sync + 'static>(
        type_name: &'static str,
        create: impl Fn(Settings, Arc<C>, Signal, Edge) -> Result<Processor, BuildError> + Send + Sync + 'static,
    ) -> Self {
        let create = Create::Processor(Box::new(move |settings, config, signal, next| {
            create(settings, typed(config), signal, next)
        }));
        Self::new::<C>(Kind::Processor, type_name, create)
    }

    /// An exporter type.
    pub fn exporter<C: Decode + Default + Send + Sync + 'static>(
        type_name: &'static str,
        create: impl Fn(Settings, Arc<C>, Signal) -> Result<Arc<dyn Stage>, BuildError> + Send + Sync + 'static,
    ) -> Self {
        let create =
            Create::Exporter(Box::new(move |settings, config, signal| create(settings, typed(config), signal)));
        Self::new::<C>(Kind::Exporter, type_name, create)
    }

    /// A connector type that supports `pairs` of signals, from and to.
    pub fn connector<C: Decode + Default + Send + Sync + 'static>(
        type_name: &'static str,
        pairs: &'static [(Signal, Signal)],
        create: impl Fn(Settings, Arc<C>, Signal, ConnectorOutputs) -> Result<Arc<dyn Stage>, BuildError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let create = Create::Connector(
            pairs,
            Box::new(move |settings, config, from, to| create(settings, typed(config), from, to)),
        );
        Self::new::<C>(Kind::Connector, type_name, create)
    }

    /// An extension type.
    pub fn extension<C: Decode + Default + Send + Sync + 'static>(
        type_name: &'static str,
        create: impl Fn(Settings, Arc<C>) -> Result<Arc<dyn Extension>, BuildError> + Send + Sync + 'static,
    ) -> Self {
        let create = Create::Extension(Box::new(move |settings, config| create(settings, typed(config))));
        Self::new::<C>(Kind::Extension, type_name, create)
    }

    /// Adds deprecated names.
    #[must_use]
    pub fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Says which signals it supports.
    #[must_use]
    pub fn with_signals(mut self, stability: Stability, signals: &[Signal]) -> Self {
        self.signals.extend(signals.iter().map(|signal| (*signal, stability)));
        self
    }

    /// Says which extensions a configuration refers to (`auth.authenticator`, `storage`, `middlewares`). They must be in
    /// `service::extensions`, and a change to one of them makes a changed component.
    #[must_use]
    pub fn with_references<C: Send + Sync + 'static>(
        self,
        references: impl Fn(&C) -> Vec<ComponentId> + Send + Sync + 'static,
    ) -> Self {
        self.with_extension_refs(move |config: &C| references(config).into_iter().map(ExtensionRef::from).collect())
    }

    /// As [`Factory::with_references`], for a component that can say what it wants of them. Validation then refuses
    /// extensions that cannot do it.
    #[must_use]
    pub fn with_extension_refs<C: Send + Sync + 'static>(
        mut self,
        references: impl Fn(&C) -> Vec<ExtensionRef> + Send + Sync + 'static,
    ) -> Self {
        self.references = Box::new(move |config| references(&typed::<C>(config)));
        self
    }

    /// Says which processor of traces a configuration follows in its decisions ([`crate::decisions`]). It must be in a
    /// pipeline of traces.
    #[must_use]
    pub fn with_followed<C: Send + Sync + 'static>(
        mut self,
        followed: impl Fn(&C) -> Option<ComponentId> + Send + Sync + 'static,
    ) -> Self {
        self.followed = Box::new(move |config| followed(&typed::<C>(config)));
        self
    }

    /// Says which settings of a configuration do nothing where all its pipelines are of these signals, by key, with the reason. Warned
    /// about.
    #[must_use]
    pub fn with_idle_settings<C: Send + Sync + 'static>(
        mut self,
        idle: impl Fn(&C, &[Signal]) -> Vec<(&'static str, String)> + Send + Sync + 'static,
    ) -> Self {
        self.idle = Box::new(move |config, signals| idle(&typed::<C>(config), signals));
        self
    }

    /// Says what a configuration reads of requests, in pipelines of a signal (extensions: of none). What is gone by then is
    /// warned about.
    #[must_use]
    pub fn with_request_reads<C: Send + Sync + 'static>(
        mut self,
        reads: impl Fn(&C, Option<Signal>) -> Vec<RequestPart> + Send + Sync + 'static,
    ) -> Self {
        self.reads = Box::new(move |config, signal| reads(&typed::<C>(config), signal));
        self
    }

    /// Says what is left of requests behind it, where that is not everything.
    #[must_use]
    pub fn with_request_kept<C: Send + Sync + 'static>(
        mut self,
        keeps: impl Fn(&C) -> RequestKept + Send + Sync + 'static,
    ) -> Self {
        self.keeps = Box::new(move |config| keeps(&typed::<C>(config)));
        self
    }

    /// Decodes and validates a configuration over the defaults. `path` is the block's, `receivers::otlp`.
    pub fn decode(&self, node: &Node, path: &str, errors: &mut Errors) -> AnyConfig {
        (self.decode)(node, path, errors)
    }

    /// What its configuration looks like.
    #[must_use]
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }

    /// The extensions that `config` refers to.
    #[must_use]
    pub fn references(&self, config: &AnyConfig) -> Vec<ComponentId> {
        (self.references)(config).into_iter().map(|reference| reference.id).collect()
    }

    /// The extensions that `config` refers to, and what it wants of them.
    #[must_use]
    pub fn extension_refs(&self, config: &AnyConfig) -> Vec<ExtensionRef> {
        (self.references)(config)
    }

    /// The processor of traces that `config` follows.
    #[must_use]
    pub fn followed(&self, config: &AnyConfig) -> Option<ComponentId> {
        (self.followed)(config)
    }

    /// The settings of `config` that do nothing in pipelines of these signals, by key, with the reason.
    #[must_use]
    pub fn idle_settings(&self, config: &AnyConfig, signals: &[Signal]) -> Vec<(&'static str, String)> {
        (self.idle)(config, signals)
    }

    /// What `config` reads of requests.
    #[must_use]
    pub fn request_reads(&self, config: &AnyConfig, signal: Option<Signal>) -> Vec<RequestPart> {
        (self.reads)(config, signal)
    }

    /// What is left of requests behind `config`.
    #[must_use]
    pub fn request_kept(&self, config: &AnyConfig) -> RequestKept {
        (self.keeps)(config)
    }

    /// Its constructor.
    #[must_use]
    pub fn create(&self) -> &Create {
        &self.create
    }

    /// Whether it goes by that type name.
    #[must_use]
    pub fn is_named(&self, type_name: &str) -> bool {
        self.type_name == type_name || self.aliases.contains(&type_name)
    }

    /// Whether it supports `signal`.
    #[must_use]
    pub fn supports(&self, signal: Signal) -> bool {
        self.signals.iter().any(|(supported, _)| *supported == signal)
    }
}
