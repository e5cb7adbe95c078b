//! What may be joined: items of one tenant, one authentication, and equal values of the configured metadata.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use pdata::{AuthData, Context};

/// The identity of a batcher. Comparing two of them agrees with [`Context::merges_with`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    tenant: Option<Arc<str>>,
    auth: Option<Arc<AuthData>>,
    /// Per configured name its values; absent metadata has none, which differs from an empty value.
    values: Vec<Vec<Box<str>>>,
}

impl Key {
    /// The key of batches that came with `context`. Allocates only with metadata keys.
    #[must_use]
    pub fn of(context: &Context, metadata_keys: &[String]) -> Self {
        let values = metadata_keys.iter().map(|key| context.metadata.values(key).map(Into::into).collect());
        Self { tenant: context.tenant.clone(), auth: context.auth.clone(), values: values.collect() }
    }

    /// The context of a batch with this key: tenant, authentication and the configured metadata stay, everything about
    /// the request goes, since it was answered.
    #[must_use]
    pub fn context(&self, first: &Context, metadata_keys: &[String]) -> Arc<Context> {
        Arc::new(Context {
            metadata: first.metadata.only(metadata_keys),
            auth: self.auth.clone(),
            tenant: self.tenant.clone(),
            arrival: first.arrival,
            ..Context::default()
        })
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tenant.hash(state);
        self.values.hash(state);
        if let Some(auth) = &self.auth {
            auth.attributes.hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use pdata::Metadata;

    use super::*;

    fn context(pairs: &[(&str, &str)]) -> Context {
        Context { metadata: Metadata::new(pairs.iter().copied()), ..Context::default() }
    }

    #[test]
    fn keys_agree_with_what_contexts_say_about_merging() {
        let auth = |name: &str| Some(Arc::new(AuthData { attributes: vec![("username".into(), vec![name.into()])] }));
        let contexts = [
            context(&[]),
            context(&[("x-a", "")]),
            context(&[("x-a", "1"), ("x-b", "9")]),
            context(&[("x-a", "1"), ("x-b", "8")]),
            context(&[("x-a", "1"), ("x-a", "2")]),
            context(&[("x-a", "2"), ("x-a", "1")]),
            Context { tenant: Some("t".into()), ..context(&[]) },
            Context { auth: auth("a"), ..context(&[]) },
            Context { auth: auth("b"), ..context(&[]) },
        ];
        for keys in [vec![], vec!["X-A".to_owned()], vec!["x-a".to_owned(), "x-b".to_owned()]] {
            for a in &contexts {
                for b in &contexts {
                    assert_eq!(Key::of(a, &keys) == Key::of(b, &keys), a.merges_with(b, &keys), "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn only_listed_metadata_stays() {
        let keys = ["x-a".to_owned()];
        let mut from = context(&[("x-a", "1"), ("x-b", "2")]);
        from.transport = "grpc";
        from.tenant = Some("t".into());
        let kept = Key::of(&from, &keys).context(&from, &keys);
        assert_eq!(kept.metadata.iter().collect::<Vec<_>>(), [("x-a", "1")]);
        assert_eq!((kept.tenant_name(), kept.transport, kept.peer), ("t", "", None));
        assert!(Key::of(&from, &[]).context(&from, &[]).metadata.is_empty());
    }
}
