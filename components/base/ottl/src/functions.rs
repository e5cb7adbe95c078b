//! The standard functions: editors, which change a record, and converters, which yield values.
//!
//! Each module lists its functions; [`standard`] joins the lists.

mod case;
mod collections;
mod convert;
mod duration;
mod editors;
mod encode;
mod format;
mod grok;
mod hash;
mod ids;
mod lambda;
mod make;
mod net;
mod parse_csv;
mod parse_events;
mod parse_json;
mod parse_logs;
mod parse_text;
mod patterns;
mod strings;
mod strptime;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod time;
mod url;

use crate::function::Function;

/// Every standard editor and converter, by name.
#[must_use]
pub fn standard() -> Vec<Function> {
    let mut functions = editors::all();
    for list in [
        case::FUNCTIONS,
        collections::FUNCTIONS,
        convert::FUNCTIONS,
        duration::FUNCTIONS,
        encode::FUNCTIONS,
        format::FUNCTIONS,
        grok::FUNCTIONS,
        hash::FUNCTIONS,
        ids::FUNCTIONS,
        lambda::FUNCTIONS,
        net::FUNCTIONS,
        parse_csv::FUNCTIONS,
        parse_events::FUNCTIONS,
        parse_json::FUNCTIONS,
        parse_logs::FUNCTIONS,
        parse_text::FUNCTIONS,
        patterns::FUNCTIONS,
        strings::FUNCTIONS,
        strptime::FUNCTIONS,
        time::FUNCTIONS,
        url::FUNCTIONS,
    ] {
        functions.extend_from_slice(list);
    }
    functions.sort_by_key(|function: &Function| function.name);
    functions
}

/// Functions of the Collector that are left out, by name, and why; for the error of a statement that calls one.
pub const REFUSED: &[(&str, &str)] = &[
    ("CommunityID", "flow hashes are not supported"),
    ("ConvertAttributesToElementsXML", XML),
    ("ConvertTextToElementsXML", XML),
    ("GetXML", XML),
    ("InsertXML", XML),
    ("ParseSimplifiedXML", XML),
    ("ParseXML", XML),
    ("ProfileID", "profiles are not supported"),
    ("RemoveXML", XML),
    ("UserAgent", "user agents are not parsed: it would take a database of them"),
];

const XML: &str = "XML is not supported";

/// Why a function of the Collector is left out; `None` for any other name.
#[must_use]
pub fn refused(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why)
}
