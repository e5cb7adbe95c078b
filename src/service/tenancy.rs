//! On whose behalf telemetry is handled: the one place where a batch's tenant is set (`service::tenant`).
//!
//! Sources are asked in order, the first that knows a name decides. A name from a resource attribute divides a batch by
//! tenant. Batches that have a tenant already (from a connector) keep it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use config::{Config, Validator};
use pdata::view::{ResourceGroup, ScopeGroup, ValueView};
use pdata::{Batch, Context, Signal, Stake};

/// Longest name of a tenant, in bytes.
const NAME_BYTES_MAX: usize = 150;
/// Most tenants that one batch is divided by; the items of others stay together, without one.
const PARTS_MAX: usize = 256;

/// Where the name of a tenant is looked for. One of the keys is set.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct SourceConfig {
    /// Name of a header of the request. The receiver needs `include_metadata: true`.
    pub header: String,
    /// Name of an attribute that authentication found: `username`, `subject`.
    pub auth: String,
    /// Key of a resource attribute. A request with several values is divided.
    pub resource: String,
    /// A name for all.
    pub constant: String,
}

/// Who telemetry belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = TenantConfig::check)]
pub struct TenantConfig {
    /// Where the name is looked for, in order.
    pub from: Vec<SourceConfig>,
}

#[derive(Debug, PartialEq, Eq)]
enum Source {
    Header(String),
    Auth(String),
    Resource(String),
    Constant(Arc<str>),
}

impl SourceConfig {
    fn source(&self) -> Option<Source> {
        let Self { header, auth, resource, constant } = self;
        match [header, auth, resource, constant].map(|text| !text.is_empty()) {
            [true, false, false, false] => Some(Source::Header(header.clone())),
            [false, true, false, false] => Some(Source::Auth(auth.clone())),
            [false, false, true, false] => Some(Source::Resource(resource.clone())),
            [false, false, false, true] => Some(Source::Constant(constant.as_str().into())),
            _ => None,
        }
    }
}

impl TenantConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.from.iter().filter(|source| !source.resource.is_empty()).count() > 1 {
            v.error("from", "only one source can be a resource attribute");
        }
        for (index, source) in self.from.iter().enumerate() {
            let field = format!("from::{index}");
            match source.source() {
                None => v.error(&field, "a source is one of `header`, `auth`, `resource` and `constant`"),
                Some(Source::Constant(name)) => {
                    if !is_name(&name) {
                        v.error(&field, format!("`{name}` is no tenant's name: {RULE}"));
                    }
                    if index + 1 < self.from.len() {
                        v.error(&field, "sources behind a `constant` are never asked");
                    }
                }
                Some(_) => {}
            }
        }
    }
}

const RULE: &str = "1 to 150 bytes of printable text";

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// The sources in use, exchanged by reloads.
#[derive(Debug, Default)]
pub struct Tenancy(ArcSwapOption<Vec<Source>>);

/// A batch whose tenants are known.
#[derive(Debug)]
pub enum Divided {
    /// Of one tenant, or of none.
    Whole(Batch),
    /// One part for each tenant.
    Parts(Vec<Batch>),
}

impl Tenancy {
    /// Uses these sources from now on.
    pub fn set(&self, config: &TenantConfig) {
        let sources: Vec<Source> = config.from.iter().filter_map(SourceConfig::source).collect();
        self.0.store((!sources.is_empty()).then(|| Arc::new(sources)));
    }

    /// Sets the tenant of a batch that has none, dividing it where its resources are of several.
    #[must_use]
    pub fn divide(&self, mut batch: Batch) -> Divided {
        let sources = self.0.load();
        let Some(sources) = sources.as_deref() else { return Divided::Whole(batch) };
        if batch.context().tenant.is_some() {
            return Divided::Whole(batch);
        }
        match find(sources, batch.context()) {
            Found::Name(name) => {
                let context = named(batch.context(), Some(name));
                batch.set_context(context);
                Divided::Whole(batch)
            }
            Found::Nothing => Divided::Whole(batch),
            Found::AskResource { key, otherwise } => by_resource(batch, key, otherwise.as_ref()),
        }
    }
}

enum Found<'s> {
    Name(Arc<str>),
    Nothing,
    /// The attribute decides; where it is not there, a later source has a name, or none has.
    AskResource {
        key: &'s str,
        otherwise: Option<Arc<str>>,
    },
}

fn find<'s>(sources: &'s [Source], context: &Context) -> Found<'s> {
    let mut asked: Option<&'s str> = None;
    for source in sources {
        let name = match source {
            Source::Header(name) => context.metadata.get(name),
            Source::Auth(name) => context.auth.as_deref().and_then(|auth| auth.get(name)),
            Source::Constant(name) => {
                let name = Arc::clone(name);
                return match asked {
                    Some(key) => Found::AskResource { key, otherwise: Some(name) },
                    None => Found::Name(name),
                };
            }
            Source::Resource(key) => {
                asked = Some(key);
                continue;
            }
        };
        if let Some(name) = name.filter(|name| is_name(name)) {
            return match asked {
                Some(key) => Found::AskResource { key, otherwise: Some(name.into()) },
                None => Found::Name(name.into()),
            };
        }
    }
    match asked {
        Some(key) => Found::AskResource { key, otherwise: None },
        None => Found::Nothing,
    }
}

fn named(context: &Context, tenant: Option<Arc<str>>) -> Arc<Context> {
    Arc::new(Context { tenant, ..context.clone() })
}

/// Divides by the value of a resource attribute.
fn by_resource(mut batch: Batch, key: &str, otherwise: Option<&Arc<str>>) -> Divided {
    let mut tenants: Vec<Option<Arc<str>>> = Vec::new();
    // The number of the tenant of each group.
    let mut groups: Vec<usize> = Vec::new();
    for group in batch.payload().resources() {
        let found = group.resource().attributes().get(key).and_then(ValueView::as_str).filter(|name| is_name(name));
        let name = found.or(otherwise.map(|name| &**name)).filter(|_| tenants.len() < PARTS_MAX);
        let known = tenants.iter().position(|tenant| tenant.as_deref() == name);
        groups.push(known.unwrap_or_else(|| {
            tenants.push(name.map(Into::into));
            tenants.len() - 1
        }));
    }
    if let [] | [_] = tenants.as_slice() {
        if let Some(tenant) = tenants.pop().flatten() {
            let context = named(batch.context(), Some(tenant));
            batch.set_context(context);
        }
        return Divided::Whole(batch);
    }
    let (payload, context, mut stake) = batch.into_parts();
    let runs: Vec<(usize, usize)> =
        groups.into_iter().zip(payload.resources().map(|group| items(payload.signal(), group))).collect();
    let mut stakes: Vec<Stake> = tenants.iter().map(|_| Stake::none()).collect();
    for (number, items) in &runs {
        let piece = stake.split_front(*items as u64);
        if let Some(stake) = stakes.get_mut(*number) {
            stake.merge(piece);
        }
    }
    let parts = tenants.into_iter().zip(stakes).enumerate().map(|(number, (tenant, stake))| {
        let mut flags = runs.iter().flat_map(|(of, items)| std::iter::repeat_n(*of == number, *items));
        let mut part = payload.clone();
        part.retain(|_| flags.next().unwrap_or(false));
        Batch::from_parts(part, named(&context, tenant), stake)
    });
    Divided::Parts(parts.filter(|part| part.items() > 0).collect())
}

/// Items in what a resource produced.
fn items(signal: Signal, group: ResourceGroup<'_>) -> usize {
    let points = |scope: ScopeGroup<'_>| -> usize { scope.metrics().map(|metric| metric.data_points().count()).sum() };
    match signal {
        Signal::Traces => group.scopes().map(|scope| scope.spans().count()).sum(),
        Signal::Logs => group.scopes().map(|scope| scope.log_records().count()).sum(),
        Signal::Metrics => group.scopes().map(points).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pdata::build::{LogFields, PayloadBuilder};
    use pdata::{AuthData, Ledger, Metadata, Outcome, Payload};

    use super::*;

    #[test]
    fn the_readme_has_the_current_keys_and_limits() {
        let readme = include_str!("../../README.md");
        let table = <TenantConfig as config::Decode>::schema().to_markdown();
        assert!(readme.contains(&table), "the table of `service::tenant` in README.md is not\n{table}");
        assert!(readme.contains(&format!("A name is {RULE};")) && RULE.contains(&format!(" {NAME_BYTES_MAX} ")));
        assert!(readme.contains(&format!("At most {PARTS_MAX} parts;")));
        let example = readme.split("  tenant:\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = config::decode_str::<TenantConfig>(example).unwrap().0;
        assert_eq!(config.from.len(), 3);
    }

    fn tenancy(yaml: &str) -> Tenancy {
        let tenancy = Tenancy::default();
        tenancy.set(&config::decode_str(yaml).unwrap().0);
        tenancy
    }

    /// Log records, so many for each resource with that value of `team`.
    fn logs(resources: &[(&str, usize)]) -> Payload {
        let mut builder = PayloadBuilder::logs();
        for (team, records) in resources {
            builder.resource(
                "",
                |attributes| {
                    if !team.is_empty() {
                        attributes.str("team", team);
                    }
                },
                |scopes| {
                    scopes.bare(|items| {
                        for _ in 0..*records {
                            items.record(&LogFields::default(), |_| {});
                        }
                    });
                },
            );
        }
        builder.finish(None)
    }

    fn divided(yaml: &str, context: Context, resources: &[(&str, usize)]) -> BTreeMap<String, u64> {
        let account = Ledger::new().account(&"logs".into(), Signal::Logs, "");
        let payload = logs(resources);
        let stake = account.receive(payload.items());
        let batch = Batch::from_parts(payload, Arc::new(context), stake);
        let parts = match tenancy(yaml).divide(batch) {
            Divided::Whole(batch) => vec![batch],
            Divided::Parts(parts) => parts,
        };
        let mut found = BTreeMap::new();
        for part in parts {
            assert_eq!(part.stake().items(), part.items());
            found.insert(part.context().tenant_name().to_owned(), part.items());
            part.settle(Outcome::Delivered);
        }
        assert_eq!(account.read().difference(), 0);
        found
    }

    fn with_header(value: &str) -> Context {
        Context { metadata: Metadata::new([("x-scope-orgid", value)]), ..Context::default() }
    }

    #[test]
    fn the_first_source_with_a_name_decides() {
        let yaml = "{from: [{header: X-Scope-OrgID}, {auth: username}, {resource: team}, {constant: rest}]}";
        let auth = AuthData { attributes: vec![("username".into(), vec!["anna".into()])] };
        let by_auth = Context { auth: Some(Arc::new(auth)), ..Context::default() };
        let long = "x".repeat(151);
        let both: &[(&str, usize)] = &[("a", 1), ("", 2)];
        for (context, expected) in [
            (with_header("acme"), vec![("acme", 3)]),
            (by_auth, vec![("anna", 3)]),
            (with_header(""), vec![("a", 1), ("rest", 2)]),
            (with_header(&long), vec![("a", 1), ("rest", 2)]),
            (with_header("a\tb"), vec![("a", 1), ("rest", 2)]),
            (Context { tenant: Some("known".into()), ..Context::default() }, vec![("known", 3)]),
        ] {
            let expected = expected.into_iter().map(|(name, items)| (name.to_owned(), items)).collect();
            assert_eq!(divided(yaml, context, both), expected);
        }
    }

    #[test]
    fn a_resource_attribute_divides_and_the_rest_stays_together() {
        let yaml = "{from: [{resource: team}]}";
        let mixed = [("a", 2), ("b", 1), ("", 3), ("a", 4)];
        let expected = [("", 3), ("a", 6), ("b", 1)].map(|(name, items)| (name.to_owned(), items)).into();
        assert_eq!(divided(yaml, Context::default(), &mixed), expected);
        assert_eq!(divided(yaml, Context::default(), &[("a", 2), ("a", 1)]), [("a".to_owned(), 3)].into());
        assert_eq!(divided(yaml, Context::default(), &[("", 2)]), [(String::new(), 2)].into());
        assert_eq!(divided("{}", Context::default(), &mixed), [(String::new(), 10)].into());
        let names: Vec<String> = (0..300).map(|n| format!("t{n}")).collect();
        let many: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let found = divided(yaml, Context::default(), &many);
        assert_eq!((found.len(), found[""]), (PARTS_MAX + 1, 300 - PARTS_MAX as u64));
    }

    #[test]
    fn sources_are_checked() {
        for (yaml, message) in [
            ("{from: [{}]}", "a source is one of"),
            ("{from: [{header: a, resource: b}]}", "a source is one of"),
            ("{from: [{constant: a}, {header: b}]}", "sources behind a `constant` are never asked"),
            ("{from: [{constant: \"a\\tb\"}]}", "is no tenant's name"),
        ] {
            let errors = config::decode_str::<TenantConfig>(yaml).unwrap_err().to_string();
            assert!(errors.contains(message), "{yaml}: {errors}");
        }
    }
}
