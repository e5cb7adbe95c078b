//! What users write for a `load_balancing` exporter.

use std::time::Duration;

use ::config::{Config, GoDuration, Optional, Unsupported, Validator};
use component::ExtensionRef;
use delivery::{QueueConfig, RetryConfig};
use otlp_client::OtlpGrpcConfig;

const SECOND: i64 = 1_000_000_000;

/// Sends every key to the endpoint that owns it.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = LoadBalancingConfig::check)]
pub struct LoadBalancingConfig {
    /// How endpoints are talked to.
    pub protocol: ProtocolConfig,
    /// Where endpoints come from. Exactly one.
    pub resolver: ResolverConfig,
    /// What decides: `traceID`, `service`, `resource`, `metric`, `streamID` or `attributes`. By default `traceID` for traces,
    /// `service` for metrics and logs.
    pub routing_key: String,
    /// For `routing_key: attributes`: names of attributes of resource, scope or item, and `span.name`, `span.kind`,
    /// `log.severity`, `log.body`.
    pub routing_attributes: Vec<String>,
    /// An endpoint to which nothing could be sent for this long loses its keys, and what waits for it, to the others, until
    /// it can be connected to again; 0 for never. At most half of the endpoints are left out at a time.
    #[config(default = GoDuration(60 * SECOND))]
    pub reroute_after: GoDuration,
    /// Limit of one attempt through the endpoints, their retries included; 0 means none.
    pub timeout: GoDuration,
    /// Retrying what endpoints gave up; each attempt is routed anew. Off by default: endpoints retry by themselves.
    #[config(default = RetryConfig { enabled: false, ..RetryConfig::default() })]
    pub retry_on_failure: RetryConfig,
    /// A queue in front of all endpoints. Off by default: each endpoint has its own.
    #[config(default = Optional::default_off(QueueConfig::default()))]
    pub sending_queue: Optional<QueueConfig>,
}

/// How endpoints are talked to.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct ProtocolConfig {
    /// As an `otlp_grpc` exporter, one for each endpoint; `endpoint` is overwritten.
    #[config(default = otlp())]
    pub otlp: OtlpGrpcConfig,
}

fn otlp() -> OtlpGrpcConfig {
    let mut otlp = OtlpGrpcConfig::default();
    "placeholder:4317".clone_into(&mut otlp.client.endpoint);
    otlp
}

/// Where endpoints come from.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct ResolverConfig {
    /// A fixed list.
    pub r#static: Optional<StaticConfig>,
    /// All addresses of a name.
    pub dns: Optional<DnsConfig>,
    /// Endpoints of a Kubernetes service.
    #[config(unsupported = "weir has no Kubernetes client here; use `dns` with a headless service")]
    pub k8s: Unsupported,
    /// Instances in AWS Cloud Map.
    #[config(unsupported = "weir has no AWS client here; use `dns` with the namespace's DNS name")]
    pub aws_cloud_map: Unsupported,
}

/// A fixed list of endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = StaticConfig::check)]
pub struct StaticConfig {
    /// `host:port`, or `host` for port 4317. Agents that share a pool must write them in the same way.
    pub hostnames: Vec<String>,
}

impl StaticConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.hostnames.is_empty() {
            v.error("hostnames", "no endpoints specified for the static resolver");
        }
        for (index, name) in self.hostnames.iter().enumerate().filter(|(_, name)| name.trim().is_empty()) {
            v.error(&format!("hostnames::{index}"), format!("`{name}` is no endpoint"));
        }
    }
}

/// All addresses of a name, asked for again and again.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = DnsConfig::check)]
pub struct DnsConfig {
    /// The name.
    pub hostname: String,
    /// Port of every address.
    #[config(default = "4317")]
    pub port: String,
    /// How often it is resolved; 0 for 5s.
    #[config(default = Duration::from_secs(5))]
    pub interval: Duration,
    /// Limit of one resolution; 0 for 1s.
    #[config(default = Duration::from_secs(1))]
    pub timeout: Duration,
}

impl DnsConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.hostname.is_empty() {
            v.error("hostname", "no hostname specified to resolve the backends");
        }
        if !self.port.is_empty() && self.port.parse::<u16>().is_err() {
            v.error("port", format!("`{}` is no port: it must be a number from 0 to 65535", self.port));
        }
    }
}

impl LoadBalancingConfig {
    fn check(&self, v: &mut Validator<'_>) {
        match (self.resolver.r#static.is_on(), self.resolver.dns.is_on()) {
            (false, false) => v.error("resolver", "no resolvers specified for the exporter"),
            (true, true) => v.error("resolver", "only one resolver should be specified"),
            _ => {}
        }
        let by_attributes = self.routing_key == "attributes";
        if by_attributes && self.routing_attributes.is_empty() {
            v.error("routing_attributes", "routing_attributes must be specified when routing_key is \"attributes\"");
        }
        if !by_attributes && !self.routing_attributes.is_empty() {
            let message = format!(
                "routing_attributes can only be used when routing_key is \"attributes\"; got \"{}\"",
                self.routing_key
            );
            v.error("routing_attributes", message);
        }
        if !["", "traceID", "service", "resource", "metric", "streamID", "attributes"]
            .contains(&self.routing_key.as_str())
        {
            v.error("routing_key", format!("unsupported routing_key: \"{}\"", self.routing_key));
        }
        for (key, duration) in [("timeout", self.timeout), ("reroute_after", self.reroute_after)] {
            if duration.is_negative() {
                v.error(key, format!("'{key}' must be non-negative"));
            }
        }
        let Some(queue) = self.sending_queue.get() else { return };
        for (key, is_set) in [
            ("batch", queue.batch.is_on()),
            ("storage", queue.storage.is_some()),
            ("wait_for_result", queue.wait_for_result),
        ] {
            if is_set {
                let message = format!(
                    "`{key}` is not supported in the queue before routing; use it in `protocol::otlp::sending_queue`"
                );
                v.error(&format!("sending_queue::{key}"), message);
            }
        }
    }

    /// The extensions it refers to.
    #[must_use]
    pub fn extension_refs(&self) -> Vec<ExtensionRef> {
        self.protocol.otlp.extension_refs()
    }

    /// After how long an endpoint that fails loses its keys; `None` for never.
    #[must_use]
    pub fn reroute_after(&self) -> Option<Duration> {
        self.reroute_after.as_std().filter(|after| !after.is_zero())
    }

    /// Limit of one attempt, `None` for none.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout.as_std().filter(|timeout| !timeout.is_zero())
    }
}
