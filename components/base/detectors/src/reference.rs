//! The plain way to find everything, to hold the pass against: a regular expression per kind, or the same look at every
//! single position, with the same checks of numbers; no tables of beginnings, no classes of bytes, nothing passed over.

use crate::bytes::{at, before, in_context, is_alnum, is_base64url};
use crate::merge::merge;
use crate::secret::Says;
use crate::unescape::{Unescaped, plain};
use crate::{Finding, Hint, Kind, Options, Place, Scanner, card, email, header, ip, phone, secret, sql, token, url};
use regex::bytes::Regex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

pub(crate) struct Reference {
    options: Options,
    scanner: Scanner,
    groups: Vec<Regex>,
    bare: Regex,
    ssn: Regex,
    ipv4: Regex,
    ipv6: Regex,
    email: Regex,
    iban: Regex,
    jwt: Regex,
    scheme: Regex,
    tokens: Vec<(Kind, Regex)>,
}

/// The expression, compiled once.
macro_rules! shape {
    ($pattern:expr) => {{
        static SHAPE: LazyLock<Regex> = LazyLock::new(|| regex($pattern));
        &*SHAPE
    }};
}

fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("(?s-u){pattern}")).unwrap()
}

/// Whether a number may begin at `start`: no letter or digit before, nor a decimal's point.
fn begins(text: &[u8], start: usize) -> bool {
    let previous = before(text, start, 1);
    !(is_alnum(previous) || previous == b'.' && before(text, start, 2).is_ascii_digit())
}

fn ends(text: &[u8], end: usize) -> bool {
    !(is_alnum(at(text, end)) || at(text, end) == b'.' && at(text, end + 1).is_ascii_digit())
}

impl Reference {
    pub(crate) fn new(options: &Options) -> Self {
        let mut layouts: Vec<Vec<usize>> = (7..=13).map(|last| vec![6, last]).collect();
        layouts.extend([vec![4, 6, 4], vec![4, 6, 5]]);
        for fours in 1..=4 {
            layouts.extend((1..=5).map(|last| [vec![4; fours], vec![last]].concat()));
        }
        let groups =
            layouts.iter().filter(|layout| (13..=19).contains(&layout.iter().sum::<usize>())).flat_map(|layout| {
                [" ", "-", r"\+"].map(|separator| {
                    let groups: Vec<_> = layout.iter().map(|length| format!(r"\d{{{length}}}")).collect();
                    regex(&format!("^{}", groups.join(separator)))
                })
            });
        let issuers = [
            (Kind::CloudKey, r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}|A3T[A-Z2-7]{17}|dop_v1_[0-9a-f]{64}"),
            (Kind::CloudKey, r"AIza[A-Za-z0-9_-]{35,}|ya29\.[A-Za-z0-9_.-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}"),
            (Kind::ApiToken, r"gh[posur]_[A-Za-z0-9]{36,}|npm_[A-Za-z0-9]{36,}|hf_[A-Za-z0-9]{30,}"),
            (Kind::ApiToken, r"github_pat_[A-Za-z0-9_-]{60,}"),
            (Kind::ApiToken, r"(?:glpat-|glrt-)[A-Za-z0-9_.-]{20,}|(?:gldt-|glptt-)[A-Za-z0-9_-]{20,}"),
            (Kind::ApiToken, r"(?:xox[abeprs]|xapp)-[A-Za-z0-9_-]{10,}|xoxe\.[A-Za-z0-9_.-]{10,}"),
            (Kind::ApiToken, r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=_-]{24,}"),
            (Kind::ApiToken, r"sk-(?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{20,}"),
            (Kind::ApiToken, r"dapi[0-9a-f]{32}(?:-\d)?|rubygems_[0-9a-f]{48}|shp(?:at|ss)_[A-Za-z0-9]{32,}"),
            (Kind::ApiToken, r"glsa_[A-Za-z0-9_-]{32,}|glc_[A-Za-z0-9+/=_-]{32,}|hvs\.[A-Za-z0-9_-]{24,}"),
            (Kind::ApiToken, r"pypi-[A-Za-z0-9_-]{50,}|dckr_pat_[A-Za-z0-9_-]{27,}|SG\.[A-Za-z0-9_.-]{60,}"),
            (Kind::ApiToken, r"NRAK-[A-Za-z0-9]{27,}|sntrys_[A-Za-z0-9+/=_-]{40,}|AGE-SECRET-KEY-1[A-Za-z0-9]{58,}"),
        ];
        Self {
            options: options.clone(),
            scanner: Scanner::new(options).unwrap(),
            groups: groups.collect(),
            bare: regex(r"^\d+"),
            ssn: regex(r"^(\d{3})(?:-(\d{2})-|\x20(\d{2})\x20|\+(\d{2})\+|\.(\d{2})\.)(\d{4})"),
            ipv4: regex(r"^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})"),
            ipv6: regex(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*"),
            email: regex(r"(?:[A-Za-z0-9._+~-]|\xc3[\x80-\x96\x98-\xb6\xb8-\xbf]|[\xc4-\xc9][\x80-\xbf])+@"),
            iban: regex(
                r"^[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?:\x20[A-Z0-9]{4}){2,7}(?:\x20[A-Z0-9]{1,3})?|(?:-[A-Z0-9]{4}){2,7}(?:-[A-Z0-9]{1,3})?|(?:\.[A-Z0-9]{4}){2,7}(?:\.[A-Z0-9]{1,3})?|(?:\+[A-Z0-9]{4}){2,7}(?:\+[A-Z0-9]{1,3})?)",
            ),
            jwt: regex(r"^(eyJ[A-Za-z0-9_-]*)\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,3}"),
            scheme: regex(r"^(?i:bearer|basic)[ \t+]{1,8}([A-Za-z0-9._~+/-]+=*)"),
            tokens: issuers.into_iter().map(|(kind, shape)| (kind, regex(&format!("^(?:{shape})")))).collect(),
        }
    }

    pub(crate) fn scan(&self, text: &[u8], place: Place<'_>) -> Vec<Finding> {
        let mut found = Vec::new();
        let wants = |kind| self.options.kinds.contains(kind);
        if place.hint == Hint::SqlValue && !text.is_empty() {
            found.push(Finding { kind: Kind::SqlLiteral, start: 0, end: text.len() });
        }
        if wants(Kind::SqlLiteral) && (place.hint == Hint::Sql || place.hint == Hint::Text && sql::is_statement(text)) {
            sql::literals(text, &mut found);
        }
        let whole = match secret::key_says(place.key) {
            Some(says) if says.is_secret() => secret::whole(text, says).map(|range| (Kind::SecretAssignment, range)),
            Some(Says::Phone) => secret::phone(text, 0).map(|range| (Kind::Phone, range)),
            Some(Says::Authorization) => header::authorization(text).map(|range| (Kind::Credentials, range)),
            Some(says) => {
                let cookie = |start, end| found.push(Finding { kind: Kind::Credentials, start, end });
                header::values(text, (0, text.len()), says, true, cookie);
                None
            }
            None => None,
        };
        found.extend(whole.map(|(kind, (start, end))| Finding { kind, start, end }));
        self.look(text, place.key, place.hint == Hint::Url, &mut found);
        let first = (0..text.len()).find(|&at| plain(text, at).is_some());
        let mut from = 0;
        while let Some(percent) = (from..text.len()).find(|&at| plain(text, at).is_some()) {
            let mut part = Unescaped::default();
            let end = part.read(text, percent, from);
            let mut inner = Vec::new();
            self.look(&part.text, place.key, place.hint == Hint::Url && Some(percent) == first, &mut inner);
            for finding in inner {
                let (start, end) = part.origin(finding.start, finding.end);
                found.push(Finding { start, end, ..finding });
            }
            from = end;
        }
        found.retain(|finding| wants(finding.kind));
        merge(&mut found);
        found
    }

    /// Every kind at every position, each from left to right.
    fn look(&self, text: &[u8], key: &[u8], from_start: bool, found: &mut Vec<Finding>) {
        let mut each = |kind, at_place: &mut dyn FnMut(usize, usize) -> Option<(usize, usize)>| {
            let mut free = 0;
            for place in 0..text.len() {
                if let Some((start, end)) = at_place(place, free) {
                    found.push(Finding { kind, start, end });
                    free = end;
                }
            }
        };
        let from = |free: usize, place: usize| place >= free;
        each(Kind::PaymentCard, &mut |p, free| if from(free, p) { self.card(text, p, key) } else { None });
        each(Kind::PaymentCard, &mut |p, _| self.card_behind_word(text, p));
        each(Kind::UsSsn, &mut |p, _| self.ssn(text, p, key, Kind::UsSsn));
        each(Kind::UsItin, &mut |p, _| self.ssn(text, p, key, Kind::UsItin));
        each(Kind::Ipv4, &mut |p, _| self.ipv4(text, p));
        each(Kind::Iban, &mut |p, _| self.iban(text, p));
        each(Kind::Jwt, &mut |p, free| if from(free, p) { self.jwt(text, p) } else { None });
        each(Kind::Credentials, &mut |p, _| self.credentials(text, p));
        each(Kind::PrivateKey, &mut |p, free| if from(free, p) { token::pem_block(text, p) } else { None });
        let mut free_of_tokens = 0;
        for place in 0..text.len() {
            if place >= free_of_tokens
                && let Some((kind, end)) = self.token(text, place)
            {
                found.push(Finding { kind, start: place, end });
                free_of_tokens = end;
            }
        }
        let mut each = |kind, at_place: &mut dyn FnMut(usize, usize) -> Option<(usize, usize)>| {
            let mut free = 0;
            for place in 0..text.len() {
                if let Some((start, end)) = at_place(place, free) {
                    found.push(Finding { kind, start, end });
                    free = end;
                }
            }
        };
        each(Kind::UrlQuery, &mut |p, free| {
            if p >= free && text[p] == b'=' { self.scanner.names.value(text, p, from_start) } else { None }
        });
        let mut signs = Vec::new();
        each(Kind::UrlUserinfo, &mut |p, free| {
            let range = if p >= free && text[p] == b':' { url::userinfo(text, p) } else { None };
            signs.extend(range.filter(|_| self.options.kinds.contains(Kind::UrlUserinfo)));
            range
        });
        each(Kind::SecretAssignment, &mut |p, free| {
            if p < free {
                return None;
            }
            let assigned = if matches!(text[p], b':' | b'=') { secret::assigned(text, p) } else { None };
            match assigned {
                Some((says, from)) if says.is_secret() => {
                    secret::value(text, from, secret::Lead::at(text, p, from_start), says)
                }
                _ if text[p..].starts_with(b"--") => secret::option(text, p),
                _ => None,
            }
        });
        each(Kind::Phone, &mut |p, free| match text[p] {
            b'+' if p >= free => phone::international_end(text, p).map(|end| (p, end)),
            b':' | b'=' => match secret::assigned(text, p) {
                Some((Says::Phone, from)) => secret::phone(text, from),
                _ => None,
            },
            _ => None,
        });
        let mut free = 0;
        for p in (0..text.len()).filter(|&p| matches!(text[p], b':' | b'=')) {
            if let Some((says @ (Says::Cookies | Says::SetCookie), from)) =
                secret::assigned(text, p).filter(|_| p >= free)
            {
                let cookies = header::cookies(text, from);
                free = cookies.1;
                let cookie = |start, end| found.push(Finding { kind: Kind::Credentials, start, end });
                header::values(text, cookies, says, false, cookie);
            }
        }
        self.emails(text, &signs, found);
        self.ipv6(text, found);
    }

    fn card_behind_word(&self, text: &[u8], start: usize) -> Option<(usize, usize)> {
        let word = shape!(r"^(?i:cards?|cardno|cardnumber|ccn?|pan|visa)(\d{13,19})(?:[A-Za-z]|[^0-9A-Za-z]|$)");
        let number = word.captures(&text[start..])?.get(1)?;
        let (from, to) = (start + number.start(), start + number.end());
        let ends = at(text, to).is_ascii_alphabetic() || ends(text, to);
        (!is_alnum(before(text, start, 1)) && card::is_card(number.as_bytes()) && ends).then_some((from, to))
    }

    fn card(&self, text: &[u8], start: usize, key: &[u8]) -> Option<(usize, usize)> {
        let rest = &text[start..];
        if !begins(text, start) {
            return None;
        }
        let run = self.bare.find(rest)?.end();
        if run >= 13 {
            let glued = at(rest, run).is_ascii_alphabetic();
            let fits = card::is_card(&rest[..run]) && (glued || ends(text, start + run));
            let words: &[&[u8]] = &[
                b"card",
                b"cards",
                b"pan",
                b"cc",
                b"ccn",
                b"credit",
                b"debit",
                b"visa",
                b"mastercard",
                b"maestro",
                b"amex",
                b"unionpay",
            ];
            return (fits && (!glued && card::is_usual(&rest[..run]) || in_context(text, start, key, words)))
                .then_some((start, start + run));
        }
        let ends_at = self.groups.iter().filter_map(|group| {
            let end = group.find(rest)?.end();
            let digits: Vec<u8> = rest[..end].iter().copied().filter(u8::is_ascii_digit).collect();
            (card::is_card(&digits) && ends(text, start + end)).then_some(end)
        });
        let end = start + ends_at.max()?;
        let uuid =
            shape!(r"(?:^|[^0-9A-Fa-f-])([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?:$|[^0-9A-Fa-f-])");
        let dashes = text[start..end].contains(&b'-');
        // Matches of the expression overlap by a byte: look from every place.
        let in_uuid = dashes
            && (0..=start).any(|from| {
                uuid.captures(&text[from..])
                    .and_then(|found| found.get(1))
                    .is_some_and(|found| from + found.start() <= start && end <= from + found.end())
            });
        (!in_uuid).then_some((start, end))
    }

    fn ssn(&self, text: &[u8], start: usize, key: &[u8], kind: Kind) -> Option<(usize, usize)> {
        let rest = &text[start..];
        if !begins(text, start) {
            return None;
        }
        let words: &[&[u8]] = &[
            b"ssn",
            b"social security",
            b"social_security",
            b"social-security",
            b"socialsecurity",
            b"soc sec",
            b"soc_sec",
            b"socsec",
        ];
        let itin: &[&[u8]] = &[b"itin", b"taxpayer", b"tax id", b"tax_id", b"taxid"];
        let named = in_context(text, start, key, words) || kind == Kind::UsItin && in_context(text, start, key, itin);
        let bare = self.bare.find(rest)?.end();
        let (digits, end) = if bare == 9 {
            (rest[..9].to_vec(), 9)
        } else {
            let found = self.ssn.find(rest)?;
            (found.as_bytes().iter().copied().filter(u8::is_ascii_digit).collect(), found.end())
        };
        let delimiter = if bare == 9 { 0 } else { rest[3] };
        let longer = delimiter != 0
            && (before(text, start, 1) == delimiter && before(text, start, 2).is_ascii_digit()
                || at(rest, end) == delimiter && at(rest, end + 1).is_ascii_digit());
        let needs_word = delimiter == 0 || delimiter == b'.';
        let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
        let is_itin = area[0] == b'9'
            && matches!(
                group,
                [b'5', _]
                    | [b'6', b'0'..=b'5']
                    | [b'7', _]
                    | [b'8', b'0'..=b'8']
                    | [b'9', b'0' | b'1' | b'2' | b'4'..=b'9']
            );
        let is_ssn = area[0] != b'9'
            && area != b"000"
            && area != b"666"
            && group != b"00"
            && serial != b"0000"
            && digits != b"078051120"
            && digits != b"123456789";
        let fits = if kind == Kind::UsItin { is_itin } else { is_ssn };
        (fits && ends(rest, end) && !longer && (named || !needs_word)).then_some((start, start + end))
    }

    fn ipv4(&self, text: &[u8], start: usize) -> Option<(usize, usize)> {
        let end = start + self.ipv4.find(&text[start..])?.end();
        let address: Ipv4Addr = std::str::from_utf8(&text[start..end]).ok()?.parse().ok()?;
        let private = self.options.skip_private_ips && ip::is_private(IpAddr::V4(address));
        let alone = begins(text, start) && ends(text, end);
        (alone && !private && !ip::is_version(text, start, end)).then_some((start, end))
    }

    fn iban(&self, text: &[u8], start: usize) -> Option<(usize, usize)> {
        if is_alnum(before(text, start, 1)) {
            return None;
        }
        let found = self.iban.find(&text[start..])?.as_bytes();
        // The shape may go on into what follows: every shorter one is tried.
        (15..=found.len()).rev().find_map(|length| {
            let compact: Vec<u8> = found[..length].iter().copied().filter(u8::is_ascii_alphanumeric).collect();
            let length_of = [(b"DE", 22), (b"GB", 22), (b"FR", 27), (b"NO", 15), (b"MT", 31), (b"SA", 24)];
            let country = length_of.iter().find(|(name, _)| compact.starts_with(*name))?;
            let remainder = compact[4..].iter().chain(&compact[..4]).fold(0u64, |sum, &byte| {
                let value = u64::from(char::from(byte).to_digit(36).unwrap());
                (sum * if value < 10 { 10 } else { 100 } + value) % 97
            });
            let check = (compact[2] - b'0') * 10 + (compact[3] - b'0');
            let whole = compact.len() == country.1 && remainder == 1 && (2..=98).contains(&check);
            (whole && is_alnum(found[length - 1]) && !is_alnum(at(text, start + length)))
                .then_some((start, start + length))
        })
    }

    fn jwt(&self, text: &[u8], start: usize) -> Option<(usize, usize)> {
        let parts = self.jwt.captures(&text[start..])?;
        let header = crate::bytes::base64_decode(&parts[1], 8192)?;
        let names_alg = shape!(r#""alg"\s*:"#).is_match(&header);
        let fits = names_alg && header.ends_with(b"}") && std::str::from_utf8(&header).is_ok();
        (fits && !is_base64url(before(text, start, 1))).then_some((start, start + parts[0].len()))
    }

    fn credentials(&self, text: &[u8], start: usize) -> Option<(usize, usize)> {
        let parts = self.scheme.captures(&text[start..]).filter(|_| !is_alnum(before(text, start, 1)))?;
        let value = &parts[1];
        let fits = if text[start + 1] | 0x20 == b'e' {
            value.len() >= 24 || !crate::bytes::reads_like_words(value)
        } else {
            crate::bytes::base64_decode(value, 8192).is_some_and(|decoded| {
                decoded.contains(&b':')
                    && std::str::from_utf8(&decoded).is_ok_and(|pair| !pair.chars().any(char::is_control))
            })
        };
        let lead = shape!(r#"(?i:authorization)[ \t"'`\\\]]{0,8}[:=]>?[ \t"'`\\\[]{0,8}$"#);
        let named = value.len() >= 4 && lead.is_match(&text[..start]);
        let from = start + parts[0].len() - value.len();
        (value.len() >= 8 && fits || named).then_some((from, from + value.len()))
    }

    fn token(&self, text: &[u8], start: usize) -> Option<(Kind, usize)> {
        if is_alnum(before(text, start, 1)) {
            return None;
        }
        self.tokens.iter().filter(|(kind, _)| self.options.kinds.contains(*kind)).find_map(|(kind, shape)| {
            let found = shape.find(&text[start..])?.as_bytes();
            let exact = shape!(r"^(?:A|dapi|dop_v1_|rubygems_)").is_match(found) && !found.starts_with(b"AIza") && !found.starts_with(b"AGE");
            if exact && is_alnum(at(text, start + found.len())) {
                return None;
            }
            let prefix = shape!(r"^(?:AKIA|ASIA|ABIA|ACCA|A3T|AIza|dapi|AGE-SECRET-KEY-1|sk-(?:ant|proj|svcacct|admin|or)-|[sr]k_(?:live|test)_|github_pat_|dckr_pat_|dop_v1_|[A-Za-z0-9]+[-_.])").find(found)?.end();
            let tail = &found[prefix..];
            let tail = if exact && tail.len() > 2 && tail[tail.len() - 2] == b'-' { &tail[..tail.len() - 2] } else { tail };
            let aws = shape!(r"^A(?:KIA|SIA|BIA|CCA|3T)").is_match(found);
            let varied = token::is_varied(tail, aws);
            let cut = found.iter().rposition(|byte| !matches!(byte, b'.' | b'-')).map_or(0, |last| last + 1);
            varied.then_some((*kind, start + cut))
        })
    }

    fn emails(&self, text: &[u8], userinfo: &[(usize, usize)], found: &mut Vec<Finding>) {
        let mut free = 0;
        for sign in (0..text.len()).filter(|&place| text[place] == b'@') {
            let in_url = userinfo.iter().any(|&(start, end)| start <= sign && sign <= end);
            // The local part must be one that the expression gives, but for what is cut off at its start.
            if sign >= free
                && !in_url
                && let Some((start, end)) = email::address(text, sign)
            {
                assert!(self.email.find_iter(text).any(|m| m.start() <= start && m.end() == sign + 1));
                found.push(Finding { kind: Kind::Email, start, end });
                free = end;
            }
        }
    }

    fn ipv6(&self, text: &[u8], found: &mut Vec<Finding>) {
        let mut from = 0;
        while let Some(run) = self.ipv6.find_at(text, from) {
            let (run_start, run_end) = (run.start(), run.end());
            from = run_end;
            let colon = run_start + run.as_bytes().iter().position(|&byte| byte == b':').unwrap();
            let mut start = run_start;
            if start == colon && at(text, colon + 1) != b':' {
                start += 1;
            }
            let previous = before(text, start, 1);
            let fraction = previous == b'.' && before(text, start, 2).is_ascii_digit();
            let first = start + text[start..run_end].iter().position(|&byte| byte == b':').unwrap_or(run_end - start);
            if first == run_end {
                continue;
            }
            if run_end - start.max(first.saturating_sub(5)) > 51 {
                continue;
            }
            if is_alnum(previous) || previous == b'_' || fraction || first - start > 4 {
                if at(text, first + 1) == b':' {
                    continue;
                }
                start = first + 1;
            }
            let mut end = run_end;
            let tail = shape!(r":(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})");
            let dotted = tail.find_iter(&text[start..]).find(|m| {
                let from = start + m.start() + 1;
                let to = start + m.end();
                from <= run_end
                    && run_end < to
                    && ends(text, to)
                    && std::str::from_utf8(&text[from..to]).is_ok_and(|quad| quad.parse::<Ipv4Addr>().is_ok())
            });
            let tailed = at(text, end) == b'.' && at(text, end + 1).is_ascii_digit();
            if let Some(dotted) = dotted.filter(|_| tailed) {
                end = start + dotted.end();
                from = end;
            } else if !tailed && (is_alnum(at(text, end)) || at(text, end) == b'_') {
                end = start + text[start..end].iter().rposition(|&byte| byte == b':').map_or(0, |last| last + 1);
                if text[..end].ends_with(b"::") {
                    continue;
                }
            }
            let address = &text[start..end.max(start)];
            let single = address.ends_with(b":") && !address.ends_with(b"::");
            let address = if single { &address[..address.len() - 1] } else { address };
            let Ok(parsed) = std::str::from_utf8(address).unwrap().parse::<Ipv6Addr>() else { continue };
            let pairs = shape!(r"^(?:[0-9A-Fa-f]{2}:){7}[0-9A-Fa-f]{2}$").is_match(address);
            let private = self.options.skip_private_ips && ip::is_private(IpAddr::V6(parsed));
            if address.len() >= 3 && address.iter().any(u8::is_ascii_digit) && !pairs && !private {
                found.push(Finding { kind: Kind::Ipv6, start, end: start + address.len() });
            }
        }
    }
}
