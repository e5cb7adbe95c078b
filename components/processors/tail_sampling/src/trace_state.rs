//! Members of a tracestate, read as strictly as the Collector does: one member against the rules of W3C Trace Context
//! invalidates all of them.

use smallvec::SmallVec;

/// Most members of a list.
const MEMBERS_MAX: usize = 32;
const VALUE_BYTES_MAX: usize = 256;

/// The value of the member `key`; `None` without one, and for a tracestate that breaks the rules.
#[must_use]
pub fn member<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut keys: SmallVec<[&str; 8]> = SmallVec::new();
    let mut value = None;
    for member in text.split(',').filter(|member| !member.is_empty()) {
        let (found, of_it) = member.split_once('=')?;
        let found = found.trim_start_matches([' ', '\t']);
        let of_it = of_it.trim_end_matches([' ', '\t']);
        if !is_key(found) || !is_value(of_it) || keys.contains(&found) || keys.len() == MEMBERS_MAX {
            return None;
        }
        keys.push(found);
        if found == key {
            value = Some(of_it);
        }
    }
    value
}

/// `system`, or `tenant@system`.
fn is_key(key: &str) -> bool {
    let is_part = |part: &str, begins: fn(&u8) -> bool, bytes_max: usize| {
        let rest = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte);
        part.len() <= bytes_max && part.as_bytes().first().is_some_and(begins) && part.bytes().all(|byte| rest(&byte))
    };
    match key.split_once('@') {
        None => is_part(key, u8::is_ascii_lowercase, 256),
        Some((tenant, system)) => {
            let begins = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            is_part(tenant, begins, 241) && is_part(system, u8::is_ascii_lowercase, 14)
        }
    }
}

fn is_value(value: &str) -> bool {
    let is_printed = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    (1..=VALUE_BYTES_MAX).contains(&value.len()) && !value.ends_with(' ') && value.bytes().all(is_printed)
}

#[cfg(test)]
mod tests {
    use super::member;

    #[test]
    fn one_wrong_member_invalidates_all() {
        let long = format!("a={}", "x".repeat(256));
        let many: Vec<String> = (0..32).map(|n| format!("a{n}=1")).collect();
        for (text, expected) in [
            ("a=1", Some("1")),
            (" a=1 ,b=2", Some("1")),
            ("b=2,\ta=1\t", Some("1")),
            (",a=1,,", Some("1")),
            ("a=b c", Some("b c")),
            ("b=2", None),
            ("", None),
            (long.as_str(), long.strip_prefix("a=")),
            (&format!("{long}x"), None),
            (&format!("a=1,{}", many[..31].join(",")), Some("1")),
            (&format!("a=1,{}", many.join(",")), None),
            ("a=1,t0@system-1=2,0t@s=3", Some("1")),
            ("a=1,A=2", None),
            ("a=1,0=2", None),
            ("a=1,@s=2", None),
            ("a=1,t@=2", None),
            ("a=1,a=2", None),
            ("a=1,b", None),
            ("a=1, ", None),
            ("a=1,b=", None),
            ("a=1,=2", None),
            ("a=1,b =2", None),
            ("a=1,b=2=3", None),
            ("a=1,b=\u{fc}", None),
        ] {
            assert_eq!(member(text, "a"), expected, "{text}");
        }
    }
}
