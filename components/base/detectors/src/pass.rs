//! One pass over a text: bytes that may begin or mark something are handed to the detectors, everything else is passed
//! over.
//!
//! Most of a log is words and numbers. Where they start is told for [`BLOCK`] bytes at once, and so is how long a number is.
//! A word is looked at once, at its first three bytes, so that hashes, pod names and identifiers cost little. A number that
//! no letter touches says by its length and the byte behind it which of the numeric detectors may care: decimal numbers
//! and addresses go one way, numbers of three digits with a delimiter another, and so on. Names and addresses hang on signs
//! (`=`, `:`, `@`, `+`) from which the text is read backwards. Words, numbers and signs do not depend on each other.
//!
//! Each kind is found from left to right without overlaps of its own; overlaps between kinds are not this file's.

use crate::bytes::{at, before, digits_end, is_alnum};
use crate::classes::{BLOCK, Block};
use crate::secret::{Lead, Says};
use crate::token::ISSUERS;
use crate::{Finding, Hint, Kind, Place, Scanner, card, email, header, iban, ip, phone, secret, ssn, token, url};
use std::net::{IpAddr, Ipv4Addr};

const IBAN: u64 = 1 << 63;
const PEM: u64 = 1 << 62;
const JWT: u64 = 1 << 61;
const SCHEME: u64 = 1 << 60;
/// Words that touch a card's number: `card…`, `cc…`, `pan…` and `visa…`.
const CARDS: [(u64, [&[u8]; 3]); 4] = [
    (1 << 59, [b"Cc", b"Aa", b"Rr"]),
    (1 << 58, [b"Cc", b"Cc", b"Nn23456"]),
    (1 << 57, [b"Pp", b"Aa", b"Nn"]),
    (1 << 56, [b"Vv", b"Ii", b"Ss"]),
];
const CARD: u64 = CARDS[0].0 | CARDS[1].0 | CARDS[2].0 | CARDS[3].0;

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
    let fixed: [(u64, [&[u8]; 3]); 7] = [
        (PEM, [b"B", b"E", b"G"]),
        (JWT, [b"e", b"y", b"J"]),
        (SCHEME, [b"Bb", b"EeAa", b"AaSs"]),
        CARDS[0],
        CARDS[1],
        CARDS[2],
        CARDS[3],
    ];
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

/// Whether a word that begins with this byte may be one of those things.
pub(crate) const fn begins_word(byte: u8) -> bool {
    BEGINNINGS[0][byte as usize] != 0
}

/// Lengths of numbers that stand alone and may matter, and of the first parts of grouped ones.
const LENGTHS: u32 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 9 | 0b111_1111 << 13;

/// One look at one text.
pub(crate) struct Pass<'a> {
    scanner: &'a Scanner,
    text: &'a [u8],
    key: &'a [u8],
    /// Whether the text is a URL or a part of one, so that a parameter may stand at the very start.
    is_url: bool,
    out: &'a mut Vec<Finding>,
    /// Behind the last look of a kind that must not look at the same bytes again.
    card: usize,
    phone: usize,
    v6: usize,
    secret: usize,
    cookie: usize,
    query: usize,
    userinfo: usize,
    email: usize,
    token: usize,
    jwt: usize,
    pem: usize,
    escapes: Escapes,
}

/// What a pass learns of escapes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Escapes {
    /// The place of the first.
    pub(crate) first: Option<usize>,
    /// Whether there is a backslash, of an escape or not.
    pub(crate) backslash: bool,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(scanner: &'a Scanner, text: &'a [u8], place: Place<'a>, out: &'a mut Vec<Finding>) -> Self {
        Self {
            scanner,
            text,
            key: place.key,
            is_url: place.hint == Hint::Url,
            out,
            card: 0,
            phone: 0,
            v6: 0,
            secret: 0,
            cookie: 0,
            query: 0,
            userinfo: 0,
            email: 0,
            token: 0,
            jwt: 0,
            pem: 0,
            escapes: Escapes::default(),
        }
    }

    /// Looks at the whole text.
    pub(crate) fn run(mut self) -> Escapes {
        let (mut start, mut joined) = (0, 0);
        while start < self.text.len() {
            let Block { words, digits, signs, dashes, dots, firsts } = Block::read(self.text, start);
            let starts = words & !(words << 1 | joined);
            joined = words >> (BLOCK - 1);
            self.words(start, starts & firsts);
            // The later ones of numbers joined by points come with the first.
            let later = dots << 1 & digits << 2;
            self.numbers(start, starts & digits & !later, digits, dots);
            // A dash counts in front of another; what follows the last byte is not known here.
            self.signs(start, signs | dashes & (dashes >> 1 | 1 << (BLOCK - 1)));
            start += BLOCK;
        }
        self.escapes
    }

    #[inline]
    fn words(&mut self, block: usize, mut starts: u64) {
        let text = self.text;
        while starts != 0 {
            let place = block + starts.trailing_zeros() as usize;
            starts &= starts - 1;
            let Some([first, second, third]) = text.get(place..).and_then(|rest| rest.first_chunk()) else { return };
            let begins = BEGINNINGS[0][usize::from(*first)]
                & BEGINNINGS[1][usize::from(*second)]
                & BEGINNINGS[2][usize::from(*third)];
            if begins != 0 {
                self.word(place, begins);
            }
        }
    }

    #[inline]
    fn numbers(&mut self, block: usize, mut starts: u64, digits: u64, dots: u64) {
        let text = self.text;
        while starts != 0 {
            let bit = starts.trailing_zeros();
            starts &= starts - 1;
            let length = (!(digits >> bit)).trailing_zeros();
            let start = block + bit as usize;
            let mut end = start + length as usize;
            if end == block + BLOCK {
                end = digits_end(text, end);
            }
            // The most frequent ones are told at once: all of them in the block, and what stands before them.
            let all_here = bit as usize + ip::DOTTED_BITS <= BLOCK && (bit >= 2 || block == 0);
            if all_here && dots.unbounded_shr(bit + length) & 1 == 1 {
                match ip::dotted_in_block(text, start, digits >> bit, dots >> bit) {
                    Some(ip::Quick::Neither) => continue,
                    Some(ip::Quick::Address(end, address)) => {
                        self.address(start, end, address);
                        continue;
                    }
                    None => {}
                }
            }
            let next = at(text, end);
            if next == b'.' || LENGTHS.unbounded_shr((end - start) as u32) & 1 == 1 {
                self.number(start, end, next);
            }
        }
    }

    #[inline]
    fn signs(&mut self, block: usize, mut signs: u64) {
        while signs != 0 {
            let place = block + signs.trailing_zeros() as usize;
            signs &= signs - 1;
            self.sign(place, at(self.text, place));
        }
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
        if begins & CARD != 0
            && let Some((start, end)) = card::behind_word(text, start)
        {
            self.found(Kind::PaymentCard, start, end);
        }
        match begins & !CARD {
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

    /// A run of digits that no letter or digit precedes, and the byte behind it.
    fn number(&mut self, start: usize, end: usize, next: u8) {
        let text = self.text;
        if next.is_ascii_alphabetic() && (13..=19).contains(&(end - start)) {
            self.card(start, end);
            return;
        }
        if is_alnum(next) || before(text, start, 1) == b'.' && before(text, start, 2).is_ascii_digit() {
            // Part of a word, or of the numbers before it: `v1.2.3.4.5`.
            return;
        }
        if next == b'.' && at(text, end + 1).is_ascii_digit() {
            self.dotted(start, end);
            return;
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
    }

    fn card(&mut self, start: usize, end: usize) {
        if start >= self.card
            && let Some(end) = card::card_end(self.text, start, end, self.key)
        {
            self.card = end;
            self.found(Kind::PaymentCard, start, end);
        }
    }

    fn dotted(&mut self, start: usize, end: usize) {
        let run = ip::dotted(self.text, start, end);
        if let Some(address) = run.address {
            self.address(start, run.end, address);
        } else if run.like_ssn
            && let Some((kind, end)) = ssn::delimited(self.text, start, self.key)
        {
            self.found(kind, start, end);
        }
    }

    fn address(&mut self, start: usize, end: usize, address: Ipv4Addr) {
        let private = self.scanner.skip_private_ips && ip::is_private(IpAddr::V4(address));
        if !private && !ip::is_version(self.text, start, end) {
            self.found(Kind::Ipv4, start, end);
        }
    }

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
                self.escapes.backslash |= byte == b'\\';
                if self.escapes.first.is_none() && crate::unescape::plain(self.text, place).is_some() {
                    self.escapes.first = Some(place);
                }
            }
        }
    }

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
        self.assignment(place);
    }

    fn equals(&mut self, place: usize) {
        if place >= self.query
            && let Some((start, end)) = self.scanner.names.value(self.text, place, self.is_url)
        {
            self.query = end;
            self.found(Kind::UrlQuery, start, end);
        }
        self.assignment(place);
    }

    fn assignment(&mut self, place: usize) {
        if place < self.secret.min(self.cookie) {
            return;
        }
        match secret::assigned(self.text, place) {
            Some((says @ (Says::Secret | Says::Password), from)) if place >= self.secret => {
                let lead = Lead::at(self.text, place, self.is_url);
                if let Some((start, end)) = secret::value(self.text, from, lead, says) {
                    self.secret = end;
                    self.found(Kind::SecretAssignment, start, end);
                }
            }
            Some((says @ (Says::Cookies | Says::SetCookie), from)) if place >= self.cookie => {
                let cookies = header::cookies(self.text, from);
                self.cookie = cookies.1;
                let text = self.text;
                header::values(text, cookies, says, false, |start, end| self.found(Kind::Credentials, start, end));
            }
            Some((Says::Phone, from)) => {
                if let Some((start, end)) = secret::phone(self.text, from) {
                    self.phone = self.phone.max(end);
                    self.found(Kind::Phone, start, end);
                }
            }
            _ => {}
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
