//! Pages that components publish: JSON about themselves, served beside `/metrics` by whoever serves that.
//!
//! A page is a path with an entry for each component that publishes there. Entries last as long as their [`Page`]; of two
//! of the same owner (one that is being replaced, and its successor) the later shows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// From the query of a request (without `?`) to JSON, or to what is wrong with the query.
type Render = dyn Fn(&str) -> Result<String, String> + Send + Sync;

/// Entries by owner, the latest last.
type Entries = BTreeMap<String, Vec<Weak<Render>>>;

/// All published pages.
#[derive(Default)]
pub struct Pages(Mutex<BTreeMap<&'static str, Entries>>);

/// Keeps an entry alive; dropping it takes the entry away.
#[must_use = "an entry lives as long as its registration"]
pub struct Page(#[expect(dead_code, reason = "held for its drop")] Arc<Render>);

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page")
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.paths()).finish()
    }
}

impl Pages {
    /// Publishes at `path` (`/redaction/inventory`) what `render` gives, a JSON value, under the owner's name.
    pub fn publish(
        &self,
        path: &'static str,
        owner: &str,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> Page {
        self.publish_answers(path, owner, move |_query| Ok(render()))
    }

    /// As [`Pages::publish`], for pages that answer questions: `render` is given the query of the request, without `?`;
    /// empty where there is none. An error says what is wrong with the query.
    pub fn publish_answers(
        &self,
        path: &'static str,
        owner: &str,
        render: impl Fn(&str) -> Result<String, String> + Send + Sync + 'static,
    ) -> Page {
        let render: Arc<Render> = Arc::new(render);
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = pages.entry(path).or_default().entry(owner.to_owned()).or_default();
        entries.retain(|entry| entry.strong_count() > 0);
        entries.push(Arc::downgrade(&render));
        Page(render)
    }

    /// The page at `path`: a JSON object with a member for each owner. `None` if nobody publishes there.
    #[must_use]
    pub fn render(&self, path: &str) -> Option<String> {
        self.answer(path, "")?.ok()
    }

    /// The page at `path` for the query of a request, or what is wrong with the query.
    #[must_use]
    pub fn answer(&self, path: &str, query: &str) -> Option<Result<String, String>> {
        // Rendering may take other locks, so it happens after this one is released.
        let live: Vec<(String, Arc<Render>)> = {
            let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let latest = |entries: &Vec<Weak<Render>>| entries.iter().rev().find_map(Weak::upgrade);
            pages.get(path)?.iter().filter_map(|(owner, entries)| Some((owner.clone(), latest(entries)?))).collect()
        };
        if live.is_empty() {
            return None;
        }
        // Owners are component IDs, which need no escapes in JSON.
        let members = live.iter().map(|(owner, render)| Ok(format!("\"{owner}\":{}", render(query)?)));
        Some(members.collect::<Result<Vec<_>, String>>().map(|members| format!("{{{}}}\n", members.join(","))))
    }

    /// The paths at which something is published.
    #[must_use]
    pub fn paths(&self) -> Vec<&'static str> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_live = |entries: &Entries| entries.values().flatten().any(|entry| entry.strong_count() > 0);
        pages.iter().filter(|(_, entries)| is_live(entries)).map(|(path, _)| *path).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_and_go_with_their_owners() {
        let pages = Pages::default();
        assert_eq!(pages.render("/a"), None);
        let one = pages.publish("/a", "redaction", || "[1]".to_owned());
        let two = pages.publish("/a", "redaction/eu", || "[2]".to_owned());
        let successor = pages.publish("/a", "redaction", || "[3]".to_owned());
        assert_eq!(pages.render("/a").unwrap(), "{\"redaction\":[3],\"redaction/eu\":[2]}\n");
        drop(successor);
        assert_eq!(pages.render("/a").unwrap(), "{\"redaction\":[1],\"redaction/eu\":[2]}\n");
        assert_eq!(pages.paths(), ["/a"]);
        drop((one, two));
        let answers = pages.publish_answers("/a", "redaction", |query| match query {
            "id=" => Err("no id".to_owned()),
            query => Ok(format!("[{query:?}]")),
        });
        assert_eq!(pages.answer("/a", "id=1").unwrap().unwrap(), "{\"redaction\":[\"id=1\"]}\n");
        assert_eq!(pages.answer("/a", "id=").unwrap(), Err("no id".to_owned()));
        drop(answers);
        assert_eq!((pages.render("/a"), pages.paths().len()), (None, 0));
    }
}
