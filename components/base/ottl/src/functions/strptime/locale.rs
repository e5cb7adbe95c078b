//! Names of months, days and the halves of the day in other languages, for `Time`.
//!
//! They are Unicode's, in `locale/names.txt`, which `locale/generate.py` writes and describes. It is looked through when a
//! statement with a locale is compiled, and lies on disk otherwise.

use super::Field;
use crate::problem::nearest;

static NAMES: &str = include_str!("locale/names.txt");

/// How many parents a locale has at most: region, script, language, and one in between.
const PARENTS_MAX: usize = 6;

/// The names of a locale.
#[derive(Debug)]
pub(super) struct Locale {
    /// Short days from Sunday, long days, short months, long months, AM and PM; empty where the language has none.
    lists: [Vec<&'static str>; 5],
}

/// The lines of locales: the tag, and what follows it.
fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = NAMES.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').unwrap_or((line, "")))
}

impl Locale {
    /// The locale with this tag of BCP 47 (`pt-BR`).
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(tag: &str) -> Result<Self, String> {
        let mut lists = [const { Vec::new() }; 5];
        let mut wanted = tag;
        for generation in 0..PARENTS_MAX {
            let Some((_, line)) = lines().find(|(found, _)| *found == wanted) else {
                if generation == 0 {
                    return Err(unknown(tag));
                }
                break;
            };
            let (parent, cells) = line.split_once('\t').unwrap_or((line, ""));
            for (list, cell) in lists.iter_mut().zip(cells.split('\t')) {
                // What is nearer hides what is farther.
                if list.is_empty() && !cell.is_empty() {
                    *list = cell.split('|').collect();
                }
            }
            if parent.is_empty() {
                break;
            }
            wanted = parent;
        }
        Ok(Self { lists })
    }

    /// The names for a field, in order; `None` if the field is no name.
    fn list(&self, field: Field) -> Option<&[&'static str]> {
        let number = match field {
            Field::DayName { is_short } => usize::from(!is_short),
            Field::MonthName { is_short } => 2 + usize::from(!is_short),
            Field::Meridiem { .. } => 4,
            _ => return None,
        };
        let names = self.lists.get(number)?;
        Some(match number {
            // What CLDR's root says: short names are the long ones, and the halves of the day English.
            0 | 2 if names.is_empty() => self.lists.get(number + 1)?,
            4 if names.is_empty() => &["AM", "PM"],
            _ => names,
        })
    }

    /// Whether there are names for a field, if it is one.
    pub(super) fn knows(&self, field: Field) -> bool {
        self.list(field).is_none_or(|names| !names.is_empty())
    }

    /// Takes the longest name of that kind off the front, in any case, and tells its number, from 0.
    pub(super) fn take<'t>(&self, field: Field, rest: &'t str) -> Option<(i8, &'t str)> {
        let mut found: Option<(i8, &str, &str)> = None;
        for (number, name) in (0..).zip(self.list(field)?) {
            if found.is_none_or(|(_, head, _)| head.len() < name.len())
                && let Some((head, after)) = rest.split_at_checked(name.len())
                && equal_fold(head, name)
            {
                found = Some((number, head, after));
            }
        }
        found.map(|(number, _, after)| (number, after))
    }
}

fn unknown(tag: &str) -> String {
    let written = tag.replace('_', "-");
    let same = lines().map(|(tag, _)| tag).find(|tag| tag.eq_ignore_ascii_case(&written));
    let help = match same.or_else(|| nearest(&written, lines().map(|(tag, _)| tag))) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    format!("the locale `{tag}` is not known: it is written as a BCP 47 tag, as `de` or `pt-BR`{help}")
}

/// Whether two texts differ in case only, character by character.
fn equal_fold(a: &str, b: &str) -> bool {
    let fold = |c: char| {
        let mut upper = c.to_uppercase();
        let upper = upper.next().filter(|_| upper.next().is_none()).unwrap_or(c);
        let mut lower = upper.to_lowercase();
        lower.next().filter(|_| lower.next().is_none()).unwrap_or(upper)
    };
    a == b || a.chars().map(fold).eq(b.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Field; 5] = [
        Field::DayName { is_short: true },
        Field::DayName { is_short: false },
        Field::MonthName { is_short: true },
        Field::MonthName { is_short: false },
        Field::Meridiem { is_upper: true },
    ];

    #[test]
    fn every_line_is_whole() {
        let mut before = "";
        let mut count = 0;
        for (tag, line) in lines() {
            assert!(before < tag, "{before} {tag}: sorted, so that changes are seen");
            before = tag;
            count += 1;
            assert!(line.split('\t').count() <= 6, "{tag}");
            let locale = Locale::find(tag).unwrap();
            for (field, len) in KINDS.into_iter().zip([7, 7, 12, 12, 2]) {
                let names = locale.list(field).unwrap();
                assert!(names.is_empty() || names.len() == len, "{tag}: {names:?}");
                assert!(names.iter().all(|name| !name.is_empty()), "{tag}: {names:?}");
                for name in names {
                    let (_, rest) = locale.take(field, name).unwrap();
                    assert_eq!(rest, "", "{tag}: {name}");
                }
            }
        }
        assert!(count > 1000, "{count} locales");
    }

    #[test]
    fn names_come_from_parents() {
        let name = |tag: &str, field: Field, number: usize| Locale::find(tag).unwrap().list(field).unwrap()[number];
        let [short_day, long_day, short_month, long_month, half] = KINDS;
        for (tag, field, number, expected) in [
            ("de", long_month, 2, "März"),
            ("de-DE", long_month, 2, "März"),
            ("de-AT", long_month, 0, "Jänner"),
            ("de-AT", long_month, 2, "März"),
            ("es-MX", short_month, 8, "sep"),
            ("es-AR", short_month, 8, "sept"),
            ("es-419", half, 1, "p.m."),
            ("en-US", short_month, 8, "Sep"),
            ("en-AU", short_month, 8, "Sept"),
            ("zh-Hant", half, 0, "上午"),
            ("zh-Hant-HK", long_day, 0, "星期日"),
            ("und", long_month, 0, "M01"),
            ("nb", short_day, 0, "søn."),
            ("de", half, 1, "PM"),
            ("ja", short_month, 11, "12月"),
        ] {
            assert_eq!(name(tag, field, number), expected, "{tag} {field:?}");
        }
        let months_only = Locale::find("mzn").unwrap();
        assert!(!months_only.knows(short_day) && !months_only.knows(long_day));
        assert!(months_only.knows(short_month) && months_only.knows(half) && months_only.knows(Field::Hour));
    }

    #[test]
    fn the_longest_name_counts() {
        let take = |tag: &str, text: &'static str| Locale::find(tag).unwrap().take(KINDS[2], text);
        assert_eq!(take("fr", "MARS 5"), Some((2, " 5")));
        assert_eq!(take("en-AU", "sept 5"), Some((8, " 5")));
        assert_eq!(take("zh", "12月5日"), Some((11, "5日")));
        assert_eq!(take("zh", "1月5日"), Some((0, "5日")));
        assert_eq!(take("fr", "mar"), None);
        assert_eq!(take("el", "ΙΑΝ"), Some((0, "")));
        assert_eq!(take("fr", "é"), None);
    }

    #[test]
    fn unknown_tags_are_refused_with_what_is_near() {
        for (tag, near) in [("de_AT", "de-AT"), ("PT-br", "pt-BR"), ("zh-Hand", "zh-Hans")] {
            let error = Locale::find(tag).unwrap_err();
            assert!(error.ends_with(&format!("did you mean `{near}`?")), "{error}");
        }
        let error = Locale::find("klingon").unwrap_err();
        assert!(error.starts_with("the locale `klingon` is not known"), "{error}");
        assert!(Locale::find("").is_err());
    }
}
