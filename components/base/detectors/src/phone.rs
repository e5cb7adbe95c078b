//! Telephone numbers.
//!
//! International: `+`, an assigned country code and 8 to 15 digits in all (E.164), groups joined by single spaces, `-`,
//! `/`, parentheses, and in North America points; the furthest end of a group counts. North America's numbers have
//! exactly eleven digits. An extension (`x12`) belongs to the number, and so does a second one in parentheses behind a whole one. Offsets from UTC behind a time of day (`13:55:36 +1000 20241231`) are none. National: 7 to 15
//! digits as the value of a name such as `phone`, see [`national`].

use crate::bytes::{at, before, digits_end, is_alnum, number};

const DIGITS_MAX: usize = 15;

/// The end of the number whose `+` is at `plus`.
pub(crate) fn international_end(text: &[u8], plus: usize) -> Option<usize> {
    let touched = before(text, plus, 1);
    if is_alnum(touched) || matches!(touched, b'+' | b'_') || !matches!(at(text, plus + 1), b'1'..=b'9') {
        return None;
    }
    let start = plus + 1;
    let first_end = digits_end(text, start);
    let first = first_end - start;
    if first > DIGITS_MAX || first == 4 && is_utc_offset(text, plus) {
        return None;
    }
    // Of a code whose digits are spread over two groups, the first group is looked at alone.
    let code = text.get(start..start + first.min(3))?;
    let exact = match at(code, 0) {
        b'1' | b'7' => Some(11),
        _ if code.len() >= 2 && assigned(code) => None,
        _ => return None,
    };
    let (mut end, mut digits, mut best) = (first_end, first, None);
    let mut national = [0u8; DIGITS_MAX];
    national.get_mut(..first)?.copy_from_slice(text.get(start..first_end)?);
    loop {
        let fits = exact.map_or(digits >= 8, |exact| digits == exact);
        let number_end = extension_end(text, end);
        if fits && !is_alnum(at(text, number_end)) && (at(code, 0) != b'1' || is_north_american(&national)) {
            best = Some(number_end);
        }
        if best.is_some() && at(text, end) == b' ' && at(text, end + 1) == b'(' {
            // Another number, which is written without its country's code.
            return self::national(text, end + 1).map(|(_, to)| to).or(best);
        }
        let from = next_group(text, end, at(code, 0) == b'1');
        if from == end || exact.is_some_and(|exact| digits >= exact) {
            return best;
        }
        end = digits_end(text, from);
        let Some(room) = national.get_mut(digits..digits + (end - from)) else { return best };
        room.copy_from_slice(text.get(from..end)?);
        digits += end - from;
    }
}

/// The end of the extension at `end` (`x5`), or `end`.
fn extension_end(text: &[u8], end: usize) -> usize {
    const DIGITS: std::ops::RangeInclusive<usize> = 1..=6;
    if at(text, end) | 0x20 != b'x' {
        return end;
    }
    let to = digits_end(text, end + 1);
    if DIGITS.contains(&(to - end - 1)) { to } else { end }
}

/// The range of the number written without a country code at `start`: digits in groups, the first perhaps in parentheses.
pub(crate) fn national(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let inner = start + usize::from(at(text, start) == b'(');
    let mut from = inner;
    let (mut digits, mut best) = (0, None);
    while at(text, from).is_ascii_digit() {
        let end = digits_end(text, from);
        digits += end - from;
        if digits > DIGITS_MAX || is_alnum(at(text, end)) {
            break;
        }
        if digits >= 7 {
            best = Some(end);
        }
        from = next_group(text, end, true);
        if from == end {
            break;
        }
    }
    let end = best?;
    let closed = text.get(inner..end).is_some_and(|number| number.contains(&b')'));
    Some((if closed { start } else { inner }, end))
}

/// The start of the digits behind one separator at `end`: a space, dash, slash or point, or parentheses with a space or
/// dash on either side; `end` itself if there are none.
fn next_group(text: &[u8], end: usize, points: bool) -> usize {
    let joint = |byte: u8| matches!(byte, b' ' | b'-' | b'/') || points && byte == b'.';
    let mut from = end;
    if at(text, from) == b')' {
        from += 1;
    }
    if joint(at(text, from)) {
        from += 1;
    }
    if at(text, from) == b'(' {
        from += 1;
    }
    if at(text, from).is_ascii_digit() { from } else { end }
}

/// Whether the four digits behind `plus` are an offset from UTC: a time of day stands before them.
fn is_utc_offset(text: &[u8], plus: usize) -> bool {
    let offset = number(text.get(plus + 1..plus + 5).unwrap_or_default());
    let gap = usize::from(before(text, plus, 1) == b' ');
    offset <= 1400 && matches!(offset % 100, 0 | 30 | 45) && before(text, plus, gap + 1).is_ascii_digit()
}

/// Area and exchange codes begin with 2 to 9.
fn is_north_american(digits: &[u8]) -> bool {
    matches!(at(digits, 1), b'2'..=b'9') && matches!(at(digits, 4), b'2'..=b'9')
}

/// Whether two or three digits begin with an assigned country code (ITU-T E.164, list of assigned codes).
fn assigned(code: &[u8]) -> bool {
    matches!(
        number(code.get(..2).unwrap_or_default()),
        20 | 27 | 30..=34 | 36 | 39..=41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86 | 90..=95 | 98
    ) || code.len() == 3
        && matches!(
            number(code),
            211..=213 | 216 | 218 | 220..=258 | 260..=269 | 290 | 291 | 297..=299 | 350..=359 | 370..=383
                | 385..=389 | 420 | 421 | 423 | 500..=509 | 590..=599 | 670 | 672..=683 | 685..=692 | 800 | 808
                | 850 | 852 | 853 | 855 | 856 | 870 | 878 | 880..=883 | 886 | 888 | 960..=968 | 970..=977 | 979
                | 992..=996 | 998
        )
}
