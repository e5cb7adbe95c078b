//! Where in a message one is, as a list on the stack: it costs nothing until something is found.

use crate::same::{is_same, print};

/// A place, from the outermost message inwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'p> {
    up: Option<&'p Path<'p>>,
    part: Part<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Part<'p> {
    /// A field, or an attribute's key.
    Name(&'p [u8]),
    /// In a list.
    Index(usize),
}

/// Longest text of a path, in bytes.
const BYTES_MAX: usize = 200;

impl<'p> Path<'p> {
    pub(crate) fn root(name: &'p str) -> Self {
        Self { up: None, part: Part::Name(name.as_bytes()) }
    }

    pub(crate) fn name<'q>(&'q self, name: &'q [u8]) -> Path<'q> {
        Path { up: Some(self), part: Part::Name(name) }
    }

    pub(crate) fn index(&self, index: usize) -> Path<'_> {
        Path { up: Some(self), part: Part::Index(index) }
    }

    /// `span.events.attributes.exception.message`, places in lists as `[]`.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.put(0, false, &mut out);
        if out.len() > BYTES_MAX {
            let cut = out.floor_char_boundary(BYTES_MAX);
            out.truncate(cut);
            out.push('…');
        }
        out
    }

    /// Whether [`Path::text`] certainly is `text`, without making it.
    pub(crate) fn reads(&self, text: &str) -> bool {
        self.ends(text.as_bytes())
    }

    fn ends(&self, text: &[u8]) -> bool {
        let name = match self.part {
            Part::Name(name) => name,
            Part::Index(_) => b"[]",
        };
        let cut = text.len().checked_sub(name.len()).and_then(|at| text.split_at_checked(at));
        let rest = cut.and_then(|(rest, end)| is_same(end, name).then_some(rest));
        match (rest, self.up, self.part) {
            (Some(rest), None, _) => rest.is_empty(),
            (Some(rest), Some(up), Part::Name(_)) => rest.strip_suffix(b".").is_some_and(|rest| up.ends(rest)),
            (Some(rest), Some(up), Part::Index(_)) => up.ends(rest),
            (None, ..) => false,
        }
    }

    /// A number that tells most paths apart.
    pub(crate) fn hint(&self) -> usize {
        let name = match self.part {
            Part::Name(name) => name,
            Part::Index(_) => b"[]",
        };
        let around = self.up.map_or(0, |up| if let Part::Name(name) = up.part { name.len() } else { 0 });
        print(name) as usize ^ around
    }

    /// The part inside a log's body, as the Collector's summaries have it: `nested.list.[0]`. Empty for the body itself.
    pub(crate) fn in_body(&self) -> String {
        let mut out = String::new();
        self.put(2, true, &mut out);
        out
    }

    /// The innermost part.
    pub(crate) fn last(&self) -> String {
        let mut out = String::new();
        Path { up: None, ..*self }.put(0, true, &mut out);
        out
    }

    fn depth(&self) -> usize {
        self.up.map_or(1, |up| up.depth() + 1)
    }

    /// Appends the parts, but for the `skip` outermost.
    fn put(&self, skip: usize, with_index: bool, out: &mut String) {
        if skip > 0 && self.depth() <= skip {
            return;
        }
        if let Some(up) = self.up {
            up.put(skip, with_index, out);
        }
        if !out.is_empty() && (with_index || matches!(self.part, Part::Name(_))) {
            out.push('.');
        }
        match self.part {
            Part::Name(name) => out.push_str(&String::from_utf8_lossy(name)),
            Part::Index(index) if with_index => out.push_str(&format!("[{index}]")),
            Part::Index(_) => out.push_str("[]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_from_the_outside_in() {
        let root = Path::root("log");
        let body = root.name(b"body");
        let (key, list) = (body.name(b"user"), body.name(b"list"));
        let item = list.index(3);
        assert_eq!(key.text(), "log.body.user");
        assert_eq!((item.text().as_str(), item.in_body().as_str()), ("log.body.list[]", "list.[3]"));
        for path in [root, body, key, list, item] {
            assert!(path.reads(&path.text()));
            assert_eq!([root, body, key, list, item].iter().filter(|other| other.reads(&path.text())).count(), 1);
        }
        assert!(!key.reads("log.bodyuser") && !key.reads("og.body.user") && !key.reads("x.log.body.user"));
        assert!(!root.name(b"\xff").reads("log.\u{fffd}"), "this one has to be made");
        assert_eq!((body.in_body(), key.last()), (String::new(), "user".to_owned()));
        let long = "x".repeat(500);
        assert_eq!(root.name(long.as_bytes()).text().len(), 200 + "…".len());
    }
}
