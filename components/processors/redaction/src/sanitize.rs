//! The Collector's two sanitizers: variable parts of URLs become `*`, literals of database queries become `?`.
//!
//! They see attributes by their keys, log bodies as a whole, and names of client and server spans.

mod json;
mod redis;
mod sql;
mod url;

use crate::config::{DbConfig, DbSanitizerConfig, UrlSanitizerConfig};

/// How a database's queries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Sql,
    /// Redis and Valkey.
    Redis,
    Memcached,
    /// MongoDB, OpenSearch, Elasticsearch.
    Json,
}

/// What the sanitizers do.
#[derive(Debug, Default)]
pub(crate) struct Sanitizers {
    url: Option<Vec<Box<[u8]>>>,
    url_names: bool,
    databases: Vec<(Language, Vec<Box<[u8]>>)>,
    database_names: bool,
}

/// Which of them apply to a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) url: bool,
    /// A bit for each database.
    pub(crate) databases: u8,
}

impl Applied {
    pub(crate) fn is_none(self) -> bool {
        !self.url && self.databases == 0
    }
}

fn keys(list: &[String]) -> Vec<Box<[u8]>> {
    list.iter().map(|key| key.as_bytes().into()).collect()
}

impl Sanitizers {
    pub(crate) fn new(url: &UrlSanitizerConfig, db: &DbSanitizerConfig) -> Self {
        let all: [(&DbConfig, Language); 7] = [
            (&db.sql, Language::Sql),
            (&db.redis, Language::Redis),
            (&db.valkey, Language::Redis),
            (&db.memcached, Language::Memcached),
            (&db.mongo, Language::Json),
            (&db.opensearch, Language::Json),
            (&db.es, Language::Json),
        ];
        let on = all.into_iter().filter(|(config, _)| config.enabled);
        Self {
            url: url.enabled.then(|| keys(&url.attributes)),
            url_names: url.sanitize_span_name,
            databases: on.map(|(config, language)| (language, keys(&config.attributes))).collect(),
            database_names: db.sanitize_span_name,
        }
    }

    /// For the attribute of that key.
    pub(crate) fn of_key(&self, key: &[u8]) -> Applied {
        let listed = |keys: &Vec<Box<[u8]>>| keys.iter().any(|listed| **listed == *key);
        let bits = self.databases.iter().enumerate().filter(|(_, (_, keys))| listed(keys));
        Applied { url: self.url.as_ref().is_some_and(listed), databases: bits.map(|(index, _)| 1 << index).sum() }
    }

    /// For bodies.
    pub(crate) fn of_body(&self) -> Applied {
        Applied { url: self.url.is_some(), databases: self.all_databases() }
    }

    /// For names of client and server spans.
    pub(crate) fn of_span_name(&self, name: &[u8]) -> Applied {
        Applied {
            url: self.url.is_some() && self.url_names && name.contains(&b'/'),
            databases: if self.database_names { self.all_databases() } else { 0 },
        }
    }

    /// Whether names of spans are treated at all.
    pub(crate) fn has_span_names(&self) -> bool {
        (self.url.is_some() && self.url_names) || (!self.databases.is_empty() && self.database_names)
    }

    fn all_databases(&self) -> u8 {
        self.databases.iter().enumerate().map(|(index, _)| 1 << index).sum()
    }

    /// The text without what varies in its path; nothing if it stays.
    pub(crate) fn url(text: &[u8]) -> Option<Vec<u8>> {
        Some(url::cluster(text)).filter(|new| new != text)
    }

    /// The query without its literals; nothing if it stays.
    pub(crate) fn query(&self, text: &[u8], databases: u8) -> Option<Vec<u8>> {
        let mut current: Option<Vec<u8>> = None;
        for (index, (language, _)) in self.databases.iter().enumerate() {
            if databases & 1 << index == 0 {
                continue;
            }
            let input = current.as_deref().unwrap_or(text);
            current = Some(match language {
                Language::Sql => sql::obfuscate(input),
                Language::Redis => redis::obfuscate(input),
                Language::Memcached => redis::memcached(input),
                Language::Json => json::obfuscate(input),
            });
        }
        current.filter(|new| new != text)
    }
}
