//! What travels beside a batch: who sent it, how, on whose behalf, and until when.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Everything known about the request a batch came with. Shared by `Arc`; changing it means a new one.
///
/// All fields but the deadline are stored with queued records.
#[derive(Clone, Debug)]
pub struct Context {
    /// Address of the peer that sent the request.
    pub peer: Option<SocketAddr>,
    /// `grpc`, `http`, or the name of whatever else brought it; empty when made inside the process.
    pub transport: &'static str,
    /// Request metadata, present only where the receiver's `include_metadata` asks for it.
    pub metadata: Metadata,
    /// What the server authenticator learned.
    pub auth: Option<Arc<AuthData>>,
    /// On whose behalf the items are processed; `None` is the anonymous tenant.
    pub tenant: Option<Arc<str>>,
    /// Trace of the request, or of the last own span about the batch. Batches of several traces have none.
    pub trace: Option<TraceContext>,
    /// When the request arrived.
    pub arrival: SystemTime,
    /// After this instant the sender no longer waits for an answer.
    pub deadline: Option<Instant>,
}

/// A part of what is known of a request beside tenant and authentication, which everybody passes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestPart {
    /// The peer's address.
    Address,
    /// Metadata of this name, in any case.
    Metadata(String),
    /// Metadata of names that are not known beforehand.
    AnyMetadata,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            peer: None,
            transport: "",
            metadata: Metadata::default(),
            auth: None,
            tenant: None,
            trace: None,
            arrival: SystemTime::UNIX_EPOCH,
            deadline: None,
        }
    }
}

impl Context {
    /// The tenant's name; empty for the anonymous tenant.
    #[must_use]
    pub fn tenant_name(&self) -> &str {
        self.tenant.as_deref().unwrap_or_default()
    }

    /// Whether batches of both contexts may be merged when `metadata_keys` are read later: tenant, authentication and
    /// the values of those keys are equal.
    #[must_use]
    pub fn merges_with(&self, other: &Self, metadata_keys: &[String]) -> bool {
        self.tenant == other.tenant
            && self.auth == other.auth
            && metadata_keys.iter().all(|key| self.metadata.values(key).eq(other.metadata.values(key)))
    }
}

/// Request headers: names in lower case, values as received, in order of arrival; a name may occur several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Option<Arc<[MetadataPair]>>);

type MetadataPair = (Box<str>, Box<str>);

impl Metadata {
    /// Builds from pairs; names are lower-cased.
    #[must_use]
    pub fn new<N: AsRef<str>, V: Into<Box<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let pairs: Arc<[_]> = pairs
            .into_iter()
            .map(|(name, value)| (name.as_ref().to_ascii_lowercase().into_boxed_str(), value.into()))
            .collect();
        Self((!pairs.is_empty()).then_some(pairs))
    }

    /// Every value of `name` (any case).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|pairs| pairs.iter()).map(|(name, value)| (&**name, &**value))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Only the listed names, for contexts that outlive their request.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        Self::new(self.iter().filter(|(key, _)| names.iter().any(|name| key.eq_ignore_ascii_case(name))))
    }
}

/// What a server authenticator learned about the sender (`auth.*` of `from_context`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthData {
    /// Attribute name and values, as the authenticator defines them (`username`, `raw`, `subject`, …).
    pub attributes: Vec<(Box<str>, Vec<Box<str>>)>,
}

impl AuthData {
    /// First value of the attribute.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| &**key == name).and_then(|(_, values)| values.first()).map(|v| &**v)
    }
}

/// Trace context of a request, as W3C defines it (<https://www.w3.org/TR/trace-context/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 16 bytes, not all zero.
    pub trace_id: [u8; 16],
    /// 8 bytes, not all zero.
    pub span_id: [u8; 8],
    /// Whether the sender records the trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` header; `None` if it does not follow the recommendation.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let version = parts.next()?;
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        if version.len() != 2 || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let mut context = Self { trace_id: [0; 16], span_id: [0; 8], sampled: false };
        parse_hex(trace, &mut context.trace_id)?;
        parse_hex(span, &mut context.span_id)?;
        let mut flag_bits = [0; 1];
        parse_hex(flags, &mut flag_bits)?;
        context.sampled = flag_bits[0] & 1 == 1;
        context.valid()
    }

    /// Reads a `b3` header: `trace-span[-sampling[-parent]]`. `None` if it carries no trace, as a mere sampling decision.
    /// Where nothing is said about sampling, the trace is taken for recorded.
    /// Source: <https://github.com/openzipkin/b3-propagation>.
    #[must_use]
    pub fn parse_b3(b3: &str) -> Option<Self> {
        let mut parts = b3.trim().split('-');
        let (trace, span) = (parts.next()?, parts.next()?);
        let (sampled, parent) = (parts.next(), parts.next());
        if parts.next().is_some() || parent.is_some_and(|parent| parse_hex(parent, &mut [0; 8]).is_none()) {
            return None;
        }
        let flags = sampled.filter(|sampled| *sampled == "d").map(|_| "1");
        Self::parse_b3_parts(trace, span, sampled.filter(|sampled| *sampled != "d"), flags)
    }

    /// Reads the values of `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and `x-b3-flags`. As [`TraceContext::parse_b3`].
    #[must_use]
    pub fn parse_b3_parts(trace: &str, span: &str, sampled: Option<&str>, flags: Option<&str>) -> Option<Self> {
        let is_sampled = match sampled {
            None | Some("1" | "true") => true,
            Some("0" | "false") => false,
            Some(_) => return None,
        };
        let mut context = Self { trace_id: [0; 16], span_id: [0; 8], sampled: is_sampled || flags == Some("1") };
        // Short trace IDs are the right half of long ones.
        let half = if trace.len() == 16 { context.trace_id.get_mut(8..)? } else { context.trace_id.get_mut(..)? };
        parse_hex(trace, half)?;
        parse_hex(span, &mut context.span_id)?;
        context.valid()
    }

    /// The value of a `traceparent` header.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let (trace, span) = self.ids();
        format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(self.sampled))
    }

    /// The value of a `b3` header.
    #[must_use]
    pub fn b3(&self) -> String {
        let (trace, span) = self.ids();
        format!("{trace:032x}-{span:016x}-{}", u8::from(self.sampled))
    }

    fn ids(&self) -> (u128, u64) {
        (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.span_id))
    }

    fn valid(self) -> Option<Self> {
        (self.trace_id != [0; 16] && self.span_id != [0; 8]).then_some(self)
    }
}

fn parse_hex(text: &str, into: &mut [u8]) -> Option<()> {
    if text.len() != into.len() * 2 {
        return None;
    }
    for (byte, pair) in into.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_read_and_bad_ones_are_not() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::parse(good).unwrap();
        assert!(context.sampled);
        assert_eq!(context.span_id[0], 0xb7);
        assert_eq!(context.traceparent(), good);
        assert_eq!(TraceContext::parse_b3(&context.b3()), Some(context));
        let unsampled = TraceContext { sampled: false, ..context };
        assert_eq!(TraceContext::parse(&unsampled.traceparent()), Some(unsampled));
        assert_eq!(TraceContext::parse_b3(&unsampled.b3()), Some(unsampled));
        for bad in [
            "",
            "00-0-0-0",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn b3_is_read_in_both_forms_and_bad_ones_are_not() {
        let (trace, span) = ("80f198ee56343ba864fe8b2a57d3eff7", "e457b5a2e4d86bd1");
        for (b3, sampled) in [
            (format!("{trace}-{span}-1-05e3ac9a4f6e3b90"), true),
            (format!("{trace}-{span}-0"), false),
            (format!("{trace}-{span}-d"), true),
            (format!("{trace}-{span}"), true),
        ] {
            let context = TraceContext::parse_b3(&b3).unwrap();
            assert_eq!((context.trace_id[0], context.span_id[0], context.sampled), (0x80, 0xe4, sampled), "{b3}");
        }
        let short = TraceContext::parse_b3(&format!("{span}-{span}-1")).unwrap();
        assert_eq!((short.trace_id[7], short.trace_id[8]), (0, 0xe4));
        for bad in [
            "",
            "0",
            "1",
            "a-b",
            &format!("{trace}-{span}-2"),
            &format!("{trace}-{span}-1-xx"),
            &format!("{trace}-{span}-1-{span}-"),
            &format!("{:032}-{span}-1", 0),
            &format!("{trace}-{:016}-1", 0),
            &format!("{trace}0-{span}-1"),
        ] {
            assert_eq!(TraceContext::parse_b3(bad), None, "{bad}");
        }
        let sampled = |sampled, flags| TraceContext::parse_b3_parts(trace, span, sampled, flags).map(|c| c.sampled);
        assert_eq!(sampled(None, None), Some(true));
        assert_eq!(sampled(Some("0"), None), Some(false));
        assert_eq!(sampled(Some("0"), Some("1")), Some(true), "debug");
        assert_eq!(sampled(Some("maybe"), None), None);
    }

    #[test]
    fn merging_looks_at_tenant_and_listed_metadata_only() {
        let with = |value: &str| Context {
            metadata: Metadata::new([("X-Tenant", value), ("x-id", value)]),
            ..Context::default()
        };
        assert!(with("a").merges_with(&with("b"), &[]));
        assert!(!with("a").merges_with(&with("b"), &["x-tenant".into()]));
        assert!(with("a").merges_with(&with("a"), &["x-tenant".into()]));
        let tenant = Context { tenant: Some("t".into()), ..with("a") };
        assert!(!tenant.merges_with(&with("a"), &[]));
        assert_eq!(with("a").metadata.only(&["X-ID".into()]).iter().collect::<Vec<_>>(), [("x-id", "a")]);
    }
}
