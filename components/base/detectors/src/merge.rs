//! From findings of all kinds, in any order and overlapping, to the ones that are given out.

use crate::Finding;

/// Sorts and joins: where findings overlap they become one over all their bytes, so that no part of any stays behind, of
/// the kind of the one that starts first, then is longer, then takes precedence.
#[inline]
pub(crate) fn merge(findings: &mut Vec<Finding>) {
    if findings.len() > 1 {
        merge_some(findings);
    }
}

fn merge_some(findings: &mut Vec<Finding>) {
    findings.sort_unstable_by_key(|finding| (finding.start, usize::MAX - finding.end, finding.kind));
    findings.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn overlaps_become_one() {
        let finding = |kind, start, end| Finding { kind, start, end };
        let mut findings = vec![
            finding(Kind::Email, 8, 20),
            finding(Kind::UrlQuery, 5, 12),
            finding(Kind::Ipv4, 20, 25),
            finding(Kind::SecretAssignment, 30, 40),
            finding(Kind::Jwt, 30, 40),
            finding(Kind::ApiToken, 30, 35),
        ];
        merge(&mut findings);
        assert_eq!(findings, [finding(Kind::UrlQuery, 5, 20), finding(Kind::Ipv4, 20, 25), finding(Kind::Jwt, 30, 40)]);
    }
}
