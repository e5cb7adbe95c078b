//! The resource of everything the process tells about itself.

use std::hash::{BuildHasher, RandomState};

use super::config::{AttributeValue, ResourceConfig};

/// Version of the scope that own telemetry comes from.
pub(super) const SCOPE_VERSION: &str = if cfg!(test) { "1" } else { env!("CARGO_PKG_VERSION") };

/// Attributes of this process, sorted by name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    /// URL of the schema; may be empty.
    pub(super) schema_url: String,
    /// Names and values.
    pub(super) attributes: Vec<(String, AttributeValue)>,
}

impl Resource {
    /// The resource as configured. `instance_id` is this process's own.
    pub(super) fn new(config: &ResourceConfig, instance_id: &str) -> Self {
        let automatic = [
            ("service.name", env!("CARGO_PKG_NAME").to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", instance_id.to_owned()),
        ];
        Self { schema_url: config.schema_url.clone(), attributes: config.resolve(&automatic) }
    }

    /// Name of the one instrumentation scope.
    pub(super) fn scope_name(&self) -> &'static str {
        env!("CARGO_PKG_NAME")
    }

    /// Its version.
    pub(super) fn scope_version(&self) -> &'static str {
        SCOPE_VERSION
    }

    #[cfg(test)]
    pub(super) fn test(attributes: &[(&str, &str)]) -> Self {
        let mut attributes: Vec<_> = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), AttributeValue::Text((*value).to_owned())))
            .collect();
        attributes.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { schema_url: String::new(), attributes }
    }
}

/// 64 bits that differ from call to call and from process to process. Not for secrets.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// A random UUID (version 4).
pub(super) fn uuid() -> String {
    let bits = u128::from(random()) << 64 | u128::from(random());
    let bits = bits & !(0xf << 76 | 0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_form_and_differ() {
        let (a, b) = (uuid(), uuid());
        assert_ne!(a, b);
        let groups: Vec<usize> = a.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(a.as_bytes()[14], b'4');
        assert!(matches!(a.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{a}");
    }
}
