//! The scanner: what is asked for, ready for use, and the order of looks at a text.

use crate::merge::merge;
use crate::pass::Pass;
use crate::secret::Says;
use crate::unescape::{Unescaped, plain};
use crate::url::Names;
use crate::{Finding, Hint, Kind, Kinds, Options, OptionsError, Place, QUERY_PARAMETER_BYTES_MAX, header, secret, sql};

/// Finds what [`Options`] name. Made once; scanning needs no lock and shares nothing.
#[derive(Debug)]
pub struct Scanner {
    pub(crate) kinds: Kinds,
    pub(crate) skip_private_ips: bool,
    pub(crate) names: Names,
}

impl Scanner {
    /// A scanner for `options`.
    ///
    /// # Errors
    ///
    /// A query parameter's name cannot be met in a URL.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        for name in &options.query_parameters {
            let bytes = name.len();
            if bytes == 0 || bytes > QUERY_PARAMETER_BYTES_MAX {
                return Err(OptionsError::ParameterLength { name: name.clone(), bytes });
            }
            let separator = |c: &char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.' | '~' | '$' | ':');
            if let Some(separator) = name.chars().find(separator) {
                return Err(OptionsError::ParameterSeparator { name: name.clone(), separator });
            }
        }
        Ok(Self {
            kinds: options.kinds,
            skip_private_ips: options.skip_private_ips,
            names: Names::new(&options.query_parameters),
        })
    }

    /// Puts into `out` (emptied first) what is found in `text`: sorted by start, none overlapping, each with at least
    /// one byte. Where findings overlap they become one that covers all of them, of the kind that starts first, then is
    /// longer, then stands first in [`Kind::ALL`]. `text` is normally UTF-8; findings in other bytes are as good, and
    /// ranges in UTF-8 text lie on character boundaries. Time is linear in the length of the text; memory is taken only
    /// for escapes and the parentheses of SQL.
    ///
    /// Says whether there is a backslash in the text, for those who undo more escapes than are undone here.
    pub fn scan(&self, text: &[u8], place: Place<'_>, out: &mut Vec<Finding>) -> bool {
        out.clear();
        if self.kinds.contains(Kind::SqlLiteral) {
            match place.hint {
                Hint::Text if sql::is_statement(text) => sql::literals(text, out),
                Hint::Sql => sql::literals(text, out),
                Hint::SqlValue if !text.is_empty() => {
                    out.push(Finding { kind: Kind::SqlLiteral, start: 0, end: text.len() });
                }
                _ => {}
            }
        }
        if place.says.is_some() {
            self.of_key(text, place.says, out);
        }
        let escapes = Pass::new(self, text, place, out).run();
        if let Some(first) = escapes.first {
            self.unescaped(text, first, place, out);
        }
        merge(out);
        escapes.backslash
    }

    /// What the key alone says of a whole value.
    #[cold]
    fn of_key(&self, text: &[u8], says: Option<Says>, out: &mut Vec<Finding>) {
        let (kind, range) = match says {
            Some(says @ (Says::Secret | Says::Password)) => (Kind::SecretAssignment, secret::whole(text, says)),
            Some(Says::Phone) => (Kind::Phone, secret::phone(text, 0)),
            Some(Says::Authorization) => (Kind::Credentials, header::authorization(text)),
            Some(says @ (Says::Cookies | Says::SetCookie)) => {
                if self.kinds.contains(Kind::Credentials) {
                    let found = |start, end| out.push(Finding { kind: Kind::Credentials, start, end });
                    header::values(text, (0, text.len()), says, true, found);
                }
                return;
            }
            None => return,
        };
        if let Some((start, end)) = range.filter(|_| self.kinds.contains(kind)) {
            out.push(Finding { kind, start, end });
        }
    }

    /// The second look, at the parts with escapes, the first of which is at `first`.
    fn unescaped(&self, text: &[u8], first: usize, place: Place<'_>, out: &mut Vec<Finding>) {
        let mut part = Unescaped::default();
        let mut inner = Vec::new();
        let (mut next, mut not_before) = (Some(first), 0);
        let is_ascii = text.is_ascii();
        while let Some(sign) = next {
            let end = part.read(text, sign, not_before);
            inner.clear();
            let from_start = sign == first && place.hint == Hint::Url;
            let hint = if from_start { Hint::Url } else { Hint::Text };
            // What still looks like an escape is text: it came from an escaped `%` or backslash.
            let _left = Pass::new(self, &part.text, Place { hint, ..place }, &mut inner).run();
            out.extend(inner.iter().map(|finding| {
                let (start, end) = part.origin(finding.start, finding.end);
                Finding { kind: finding.kind, start, end }
            }));
            not_before = end;
            let rest = text.get(end..).unwrap_or_default();
            next = if is_ascii {
                let mut signs = memchr::memchr2_iter(b'%', b'\\', rest).map(|found| end + found);
                signs.find(|&sign| plain(text, sign).is_some())
            } else {
                (end..text.len()).find(|&sign| plain(text, sign).is_some())
            };
        }
    }
}
