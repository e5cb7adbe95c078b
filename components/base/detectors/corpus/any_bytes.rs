//! What is true of every scan: for the fuzz target, its smoke test and the tests within the crate, which all include this
//! file.

use detectors::{Finding, Hint, Kind, Kinds, Options, Place, Scanner, render};
use std::sync::LazyLock;

/// Whether `found` is sorted, without overlaps and empty ranges, within `text`, and on character boundaries if it is UTF-8;
/// the first thing that is wrong otherwise.
pub(crate) fn findings(text: &[u8], found: &[Finding]) -> Result<(), String> {
    let mut end = 0;
    for finding in found {
        if finding.start < end || finding.end <= finding.start || finding.end > text.len() {
            return Err(format!("{finding:?} behind {end} of {} bytes", text.len()));
        }
        end = finding.end;
        if let Ok(text) = std::str::from_utf8(text)
            && !(text.is_char_boundary(finding.start) && text.is_char_boundary(finding.end))
        {
            return Err(format!("{finding:?} cuts a character"));
        }
    }
    Ok(())
}

struct Scanners {
    all: Scanner,
    each: Vec<Scanner>,
}

/// For all addresses, and for public ones.
static SCANNERS: LazyLock<[Scanners; 2]> = LazyLock::new(|| {
    [false, true].map(|skip_private_ips| {
        let with = |kinds| Scanner::new(&Options { kinds, skip_private_ips, ..Options::default() });
        let with = |kinds| with(kinds).expect("the default options are valid");
        let each = Kind::ALL.into_iter().map(|kind| with(Kinds::NONE.with(kind)));
        Scanners { all: with(Kinds::ALL), each: each.collect() }
    })
});

/// Scans arbitrary bytes, of which the first chooses hint and key, with all kinds and each alone, and renders what is found.
pub(crate) fn any_bytes(data: &[u8]) -> Result<(), String> {
    let Some((&first, text)) = data.split_first() else { return Ok(()) };
    let hint = [Hint::Text, Hint::Sql, Hint::Url, Hint::SqlValue][usize::from(first % 4)];
    let key: &[u8] =
        [&b""[..], b"user.ssn", b"db.password", b"phone", b"cookie", b"authorization"][usize::from(first / 4 % 6)];
    let place = Place::new(hint, key);
    let (mut found, mut rendered) = (Vec::new(), Vec::new());
    let Scanners { all, each } = &SCANNERS[usize::from(first >= 128)];
    all.scan(text, place, &mut found);
    findings(text, &found)?;
    for finding in &found {
        let value = &text[finding.start..finding.end];
        rendered.clear();
        render::canonical(finding.kind, value, &mut rendered);
        if rendered.is_empty() {
            return Err(format!("{finding:?} has an empty canonical form"));
        }
        let kept = rendered.len();
        if !render::partial(finding.kind, value, &mut rendered) && rendered.len() > kept {
            return Err(format!("{finding:?} has no partial form, but a rest of one"));
        }
    }
    // What is replaced stays replaced: nothing is left of a finding after the text is rewritten without it.
    let mut covered: Vec<bool> = vec![false; text.len()];
    found.iter().for_each(|finding| covered[finding.start..finding.end].fill(true));
    for (scanner, kind) in each.iter().zip(Kind::ALL) {
        scanner.scan(text, place, &mut found);
        findings(text, &found)?;
        for finding in &found {
            // An address in a URL's authority belongs to the user-info when that is looked for.
            if kind != Kind::Email && !covered[finding.start..finding.end].iter().all(|&covered| covered) {
                return Err(format!("{finding:?} alone is found, but not with all kinds"));
            }
        }
    }
    Ok(())
}
