//! `trace_state["key"]`: members of W3C's `tracestate`, which stands in spans as one text.

/// The most members of a trace state.
const MEMBERS_MAX: usize = 32;

fn members(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|member| member.trim_matches([' ', '\t']).split_once('='))
}

/// The value of a member; `None` when there is none.
pub(super) fn get<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    members(text).find(|(found, _)| *found == key).map(|(_, value)| value)
}

/// The trace state with a member set, which comes to stand first, as W3C wants of whoever changes one.
///
/// # Errors
/// What is wrong with key or value.
pub(super) fn set(text: &str, key: &str, value: &str) -> Result<String, &'static str> {
    let in_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '*' | '/' | '@');
    if key.is_empty() || key.len() > 256 || !key.chars().all(in_key) {
        return Err("a key of a trace state has 1 to 256 lower-case letters, digits and any of `_-*/@`");
    }
    let in_value = |c: char| matches!(c, ' '..='~') && !matches!(c, ',' | '=');
    if value.is_empty() || value.len() > 256 || !value.chars().all(in_value) || value.ends_with(' ') {
        return Err("a value of a trace state has 1 to 256 printable ASCII characters without `,` and `=`");
    }
    let others = members(text).filter(|(found, _)| *found != key).take(MEMBERS_MAX - 1);
    Ok(others.fold(format!("{key}={value}"), |text, (key, value)| format!("{text},{key}={value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_set_first() {
        let text = "a=1, b=2,c=x=y";
        assert_eq!((get(text, "b"), get(text, "d")), (Some("2"), None));
        assert_eq!(set(text, "b", "3").unwrap(), "b=3,a=1,c=x=y");
        assert_eq!(set("", "b", "3").unwrap(), "b=3");
        let many: Vec<_> = (0..40).map(|n| format!("k{n}=v")).collect();
        assert_eq!(set(&many.join(","), "new", "v").unwrap().split(',').count(), MEMBERS_MAX);
        assert!(set(text, "B", "1").is_err());
        assert!(set(text, "b", "1,2").is_err());
    }
}
