//! What components keep of the requests that telemetry came with.
//!
//! A [`crate::Factory`] declares that, and what is read ([`RequestPart`]), from a configuration, so that validation can
//! tell who asks for something that is gone by then. Tenant and authentication are not spoken of: everybody keeps them.

use pdata::RequestPart;

/// What is left of requests behind a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKept {
    /// Whether the sender's address is.
    pub address: bool,
    /// Names of the metadata that is, in any case; `None` for all of it.
    pub metadata: Option<Vec<String>>,
    /// What the user can do to have metadata kept, as a command that ends before its name:
    /// ``list it in the `metadata_keys` of``. Empty for nothing.
    pub remedy: &'static str,
}

impl RequestKept {
    /// All of it.
    pub const EVERYTHING: Self = Self { address: true, metadata: None, remedy: "" };

    /// Whether a part is left.
    #[must_use]
    pub fn keeps(&self, part: &RequestPart) -> bool {
        match (part, &self.metadata) {
            (RequestPart::Address, _) => self.address,
            (RequestPart::Metadata(_) | RequestPart::AnyMetadata, None) => true,
            (RequestPart::Metadata(name), Some(kept)) => kept.iter().any(|kept| kept.eq_ignore_ascii_case(name)),
            (RequestPart::AnyMetadata, Some(kept)) => !kept.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_kept_by_name_in_any_case() {
        let kept = RequestKept { address: false, metadata: Some(vec!["X-Tenant".to_owned()]), remedy: "" };
        let named = |name: &str| RequestPart::Metadata(name.to_owned());
        assert!(kept.keeps(&named("x-tenant")) && kept.keeps(&RequestPart::AnyMetadata));
        assert!(!kept.keeps(&named("x-other")) && !kept.keeps(&RequestPart::Address));
        let nothing = RequestKept { metadata: Some(Vec::new()), ..kept };
        assert!(!nothing.keeps(&RequestPart::AnyMetadata));
        let everything = RequestKept::EVERYTHING;
        assert!(everything.keeps(&named("x")) && everything.keeps(&RequestPart::Address));
    }
}
