//! One pass over a text: bytes that may begin or mark something are handed to the detectors, everything else is passed
//! over.
//!
//! Most of a log is words and numbers. A word is looked at once, at its first three bytes, and passed over with its
//! digits, so that hashes, pod names and identifiers cost little. A number that no letter touches is read once, and its
//! length and the byte behind it say which of the numeric detectors may care: decimal numbers and addresses go one way,
//! numbers of three digits with a delimiter another, and so on. Names and addresses hang on signs (`=`, `:`, `@`, `+`) from
//! which the text is read backwards.
//!
//! Each kind is found from left to right without overlaps of its own; overlaps between kinds are not this file's.

use crate::bytes::{at, before, digits_end, is_alnum, run_end};
use crate::secret::Says;
use crate::token::ISSUERS;
use crate::{Finding, Hint, Kind, Place, Scanner, card, email, iban, ip, phone, secret, ssn, token, url};
use std::net::IpAddr;

/// What a byte may mean.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Nothing,
    Sign,
    Digit,
    Letter,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Nothing; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'@' | b':' | b'=' | b'+' | b'%' | b'\\' | b'-' => Class::Sign,
            _ => Class::Nothing,
        };
        byte += 1;
    }
    classes
};

const IBAN: u64 = 1 << 63;
const PEM: u64 = 1 << 62;
const JWT: u64 = 1 << 61;
const SCHEME: u64 = 1 << 60;

/// For each of the first three bytes of a word: which of the things that begin so allow it there.
const BEGINNINGS: [[u64; 256]; 3] = {
    let mut table = [[0; 256]; 3];
    let mut which = 0;
    while which < ISSUERS.len() {
        let mut place = 0;
        while place < 3 {
            table[place][ISSUERS[which].prefix[place] as usize] |= 1 << which;
            place += 1;
        }
        which += 1;
    }
    let mut letter = b'A';
    while letter <= b'Z' {
        table[0][letter as usize] |= IBAN;
        table[1][letter as usize] |= IBAN;
        letter += 1;
    }
    let mut digit = b'0';
    while digit <= b'9' {
        table[2][digit as usize] |= IBAN;
        digit += 1;
    }
    // With both letter cases: Bearer, Basic.
    let fixed: [(u64, [&[u8]; 3]); 3] =
        [(PEM, [b"B", b"E", b"G"]), (JWT, [b"e", b"y", b"J"]), (SCHEME, [b"Bb", b"EeAa", b"AaSs"])];
    let mut which = 0;
    while which < fixed.len() {
        let (bit, places) = fixed[which];
        let mut place = 0;
        while place < 3 {
            let mut byte = 0;
            while byte < places[place].len() {
                table[place][places[place][byte] as usize] |= bit;
                byte += 1;
            }
            place += 1;
        }
        which += 1;
    }
    table
};

/// The end of the run of letters and digits from `start` on.
#[inline]
fn word_end(text: &[u8], start: usize) -> usize {
    run_end(text, start, |byte| CLASSES[usize::from(byte)] >= Class::Digit)
}

/// One look at one text.
pub(crate) struct Pass<'a> {
    scanner: &'a Scanner,
    text: &'a [u8],
    key: &'a [u8],
    /// Whether a parameter may stand at the very start.
    from_start: bool,
    out: &'a mut Vec<Finding>,
    /// Behind the last look of a kind that must not look at the same bytes again.
    card: usize,
    phone: usize,
    v6: usize,
    secret: usize,
    query: usize,
    userinfo: usize,
    email: usize,
    token: usize,
    jwt: usize,
    pem: usize,
    /// The first escape.
    escaped: Option<usize>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(scanner: &'a Scanner, text: &'a [u8], place: Place<'a>, out: &'a mut Vec<Finding>) -> Self {
        Self {
            scanner,
            text,
            key: place.key,
            from_start: place.hint == Hint::Url,
            out,
            card: 0,
            phone: 0,
            v6: 0,
            secret: 0,
            query: 0,
            userinfo: 0,
            email: 0,
            token: 0,
            jwt: 0,
            pem: 0,
            escaped: None,
        }
    }

    /// Looks at the whole text; returns the place of the first escape.
    pub(crate) fn run(mut self) -> Option<usize> {
        let text = self.text;
        let mut place = 0;
        // Tests in a row rather than a `match`: its jump through a table is foretold badly.
        while let Some(&byte) = text.get(place) {
            let class = CLASSES[usize::from(byte)];
            if class == Class::Nothing {
                place += 1;
            } else if class == Class::Letter {
                let begins = BEGINNINGS[0][usize::from(byte)]
                    & BEGINNINGS[1][usize::from(at(text, place + 1))]
                    & BEGINNINGS[2][usize::from(at(text, place + 2))];
                if begins != 0 {
                    self.word(place, begins);
                }
                place = word_end(text, place + 1);
            } else if class == Class::Digit {
                place = self.number(place);
            } else {
                self.sign(place, byte);
                place += 1;
            }
        }
        self.escaped
    }

    fn wants(&self, kind: Kind) -> bool {
        self.scanner.kinds.contains(kind)
    }

    fn found(&mut self, kind: Kind, start: usize, end: usize) {
        if self.wants(kind) {
            self.out.push(Finding { kind, start, end });
        }
    }

    #[cold]
    fn word(&mut self, start: usize, begins: u64) {
        let text = self.text;
        match begins {
            IBAN => {
                if let Some(end) = iban::iban_end(text, start) {
                    self.found(Kind::Iban, start, end);
                }
            }
            PEM => {
                if start >= self.pem
                    && let Some((start, end)) = token::pem_block(text, start)
                {
                    self.pem = end;
                    self.found(Kind::PrivateKey, start, end);
                }
            }
            JWT => {
                if start >= self.jwt
                    && let Some(end) = token::jwt_end(text, start)
                {
                    self.jwt = end;
                    self.found(Kind::Jwt, start, end);
                }
            }
            SCHEME => {
                if let Some((start, end)) = token::credentials(text, start) {
                    self.found(Kind::Credentials, start, end);
                }
            }
            mut issuers => {
                while issuers != 0 && start >= self.token {
                    let issuer = ISSUERS.get(issuers.trailing_zeros() as usize);
                    issuers &= issuers - 1;
                    if let Some(issuer) = issuer
                        && self.wants(issuer.kind)
                        && let Some(end) = issuer.token_end(text, start)
                    {
                        self.token = end;
                        self.found(issuer.kind, start, end);
                    }
                }
            }
        }
    }

    /// A run of digits that no letter or digit precedes; returns where to go on.
    #[inline]
    fn number(&mut self, start: usize) -> usize {
        let text = self.text;
        let end = digits_end(text, start);
        let next = at(text, end);
        if is_alnum(next) {
            return word_end(text, end);
        }
        if before(text, start, 1) == b'.' && before(text, start, 2).is_ascii_digit() {
            // Goes on from a word: `v1.2.3.4.5`.
            return word_end(text, ip::dotted(text, start, end).end);
        }
        if next == b'.' && at(text, end + 1).is_ascii_digit() {
            return self.dotted(start, end);
        }
        match end - start {
            3 if matches!(next, b'-' | b' ' | b'+') => {
                if let Some((kind, end)) = ssn::delimited(text, start, self.key) {
                    self.found(kind, start, end);
                }
            }
            4 | 6 if matches!(next, b'-' | b' ' | b'+') && at(text, end + 1).is_ascii_digit() => self.card(start, end),
            9 => {
                if let Some((kind, end)) = ssn::bare(text, start, self.key) {
                    self.found(kind, start, end);
                }
            }
            13..=19 => self.card(start, end),
            _ => {}
        }
        end
    }

    fn card(&mut self, start: usize, end: usize) {
        if start >= self.card
            && let Some(end) = card::card_end(self.text, start, end, self.key)
        {
            self.card = end;
            self.found(Kind::PaymentCard, start, end);
        }
    }

    fn dotted(&mut self, start: usize, end: usize) -> usize {
        let run = ip::dotted(self.text, start, end);
        if let Some(address) = run.address {
            let private = self.scanner.skip_private_ips && ip::is_private(IpAddr::V4(address));
            if !private && !ip::is_version(self.text, start, run.end) {
                self.found(Kind::Ipv4, start, run.end);
            }
        } else if run.like_ssn
            && let Some((kind, end)) = ssn::delimited(self.text, start, self.key)
        {
            self.found(kind, start, end);
        }
        word_end(self.text, run.end)
    }

    #[inline]
    fn sign(&mut self, place: usize, byte: u8) {
        match byte {
            b':' => self.colon(place),
            b'=' => self.equals(place),
            b'@' => self.at_sign(place),
            b'-' => {
                if at(self.text, place + 1) == b'-'
                    && place >= self.secret
                    && let Some((start, end)) = secret::option(self.text, place)
                {
                    self.secret = end;
                    self.found(Kind::SecretAssignment, start, end);
                }
            }
            b'+' => {
                if place >= self.phone
                    && let Some(end) = phone::international_end(self.text, place)
                {
                    self.phone = end;
                    self.found(Kind::Phone, place, end);
                }
            }
            _ => {
                if self.escaped.is_none() && crate::unescape::escape(self.text, place).is_some() {
                    self.escaped = Some(place);
                }
            }
        }
    }

    #[inline]
    fn colon(&mut self, place: usize) {
        let text = self.text;
        let (previous, next) = (before(text, place, 1), at(text, place + 1));
        match next {
            b'/' | b'\\' => {
                if place >= self.userinfo
                    && let Some((start, end)) = url::userinfo(text, place)
                {
                    self.userinfo = end;
                    self.found(Kind::UrlUserinfo, start, end);
                    if self.wants(Kind::UrlUserinfo) {
                        self.email = end + 1;
                    }
                }
            }
            _ if place >= self.v6 && (next == b':' || next.is_ascii_hexdigit() && previous.is_ascii_hexdigit()) => {
                let (end, found) = ip::v6(text, place);
                self.v6 = end;
                if let Some((start, end, address)) = found
                    && !(self.scanner.skip_private_ips && ip::is_private(IpAddr::V6(address)))
                {
                    self.found(Kind::Ipv6, start, end);
                }
            }
            _ => {}
        }
        self.assignment(place, true);
    }

    #[inline]
    fn equals(&mut self, place: usize) {
        if place >= self.query
            && let Some((start, end)) = self.scanner.names.value(self.text, place, self.from_start)
        {
            self.query = end;
            self.found(Kind::UrlQuery, start, end);
        }
        self.assignment(place, false);
    }

    fn assignment(&mut self, place: usize, colon: bool) {
        if place < self.secret {
            return;
        }
        match secret::assigned(self.text, place) {
            Some((Says::Secret, from)) => {
                if let Some((start, end)) = secret::value(self.text, from, colon) {
                    self.secret = end;
                    self.found(Kind::SecretAssignment, start, end);
                }
            }
            Some((Says::Phone, from)) => {
                if let Some((start, end)) = secret::phone(self.text, from) {
                    self.phone = self.phone.max(end);
                    self.found(Kind::Phone, start, end);
                }
            }
            None => {}
        }
    }

    fn at_sign(&mut self, place: usize) {
        if place >= self.email
            && let Some((start, end)) = email::address(self.text, place)
        {
            self.email = end;
            self.found(Kind::Email, start, end);
        }
    }
}
