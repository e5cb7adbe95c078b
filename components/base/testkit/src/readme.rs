//! Option tables in READMEs: generated from the configuration's schema, held current by a test.

use std::path::Path;

use component::Factory;

const BEGIN: &str = "<!-- options: generated, `UPDATE=1 cargo test` rewrites -->\n";
const END: &str = "<!-- /options -->\n";

/// Whether the README in `folder` (a crate's `CARGO_MANIFEST_DIR`) has the current option table between its markers. With
/// the environment variable `UPDATE=1`, rewrites it instead.
///
/// # Errors
/// What is missing or stale.
pub fn options_are_current(folder: &str, factory: &Factory) -> Result<(), String> {
    let path = Path::new(folder).join("README.md");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let current = replace(&text, &factory.schema().to_markdown())?;
    if text == current {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        return std::fs::write(&path, current).map_err(|error| format!("cannot write {}: {error}", path.display()));
    }
    Err(format!("the option table in {} is stale; run this test with UPDATE=1", path.display()))
}

fn replace(text: &str, table: &str) -> Result<String, String> {
    let missing = |marker: &str| format!("the README lacks the line {marker:?}");
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    Ok(format!("{before}{BEGIN}{}\n{END}{after}", table.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_replaced_between_its_markers() {
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        let fresh = replace(&text, "new\n").unwrap();
        assert_eq!(fresh, format!("a\n{BEGIN}new\n{END}b\n"));
        assert_eq!(replace(&fresh, "new\n").unwrap(), fresh);
        assert!(replace("a\n", "new\n").unwrap_err().contains("lacks the line"));
    }
}
