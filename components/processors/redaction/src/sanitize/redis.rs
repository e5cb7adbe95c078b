//! Commands of Redis and Valkey with `?` in place of values, keys staying; commands of Memcached without their data.

/// Removes values. Several commands stand on lines of their own.
pub(super) fn obfuscate(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let (mut words, consumed) = command(rest);
        rest = rest.get(consumed..).unwrap_or_default().trim_ascii_start();
        let Some((name, arguments)) = words.split_first_mut() else { continue };
        if !out.is_empty() {
            out.push(b'\n');
        }
        out.extend_from_slice(name);
        for argument in hide(&name.to_ascii_uppercase(), arguments) {
            out.push(b' ');
            out.extend_from_slice(argument);
        }
    }
    out
}

/// The words of the first command, quoted ones whole, and how many bytes it takes.
fn command(text: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut words, mut start, mut at) = (Vec::new(), None, 0);
    let (mut quoted, mut escaped) = (false, false);
    while let Some(byte) = text.get(at) {
        let ends = !quoted && matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        if ends {
            if let Some(start) = start.take() {
                words.push(text.get(start..at).unwrap_or_default());
            }
            if *byte == b'\n' {
                return (words, at + 1);
            }
        } else {
            start.get_or_insert(at);
            quoted ^= *byte == b'"' && !escaped && !words.is_empty();
        }
        escaped = *byte == b'\\' && !escaped;
        at += 1;
    }
    words.extend(start.map(|start| text.get(start..).unwrap_or_default()));
    (words, at)
}

const HIDDEN: &[u8] = b"?";

/// The arguments with those hidden that are values.
fn hide<'a, 't>(name: &[u8], arguments: &'a mut [&'t [u8]]) -> &'a [&'t [u8]]
where
    't: 'a,
{
    let one = |arguments: &mut [&'t [u8]], index: usize| {
        if let Some(argument) = arguments.get_mut(index) {
            *argument = HIDDEN;
        }
    };
    let every = |arguments: &mut [&'t [u8]], first: usize, step: usize| {
        arguments.iter_mut().skip(first).step_by(step).for_each(|argument| *argument = HIDDEN);
    };
    let kept = match name {
        b"AUTH" => {
            one(arguments, 0);
            1
        }
        b"APPEND" | b"GETSET" | b"LPUSHX" | b"GEORADIUSBYMEMBER" | b"RPUSHX" | b"SET" | b"SETNX" | b"SISMEMBER"
        | b"ZRANK" | b"ZREVRANK" | b"ZSCORE" => {
            one(arguments, 1);
            usize::MAX
        }
        b"HSETNX" | b"LREM" | b"LSET" | b"SETBIT" | b"SETEX" | b"PSETEX" | b"SETRANGE" | b"ZINCRBY" | b"SMOVE"
        | b"RESTORE" => {
            one(arguments, 2);
            usize::MAX
        }
        b"LINSERT" => {
            one(arguments, 3);
            usize::MAX
        }
        b"GEOHASH" | b"GEOPOS" | b"GEODIST" | b"LPUSH" | b"RPUSH" | b"SREM" | b"ZREM" | b"SADD" => {
            one(arguments, 1);
            2
        }
        b"GEOADD" => {
            every(arguments, 3, 3);
            usize::MAX
        }
        b"HSET" | b"HMSET" => {
            every(arguments, 2, 2);
            usize::MAX
        }
        b"MSET" | b"MSETNX" => {
            every(arguments, 1, 2);
            usize::MAX
        }
        b"CONFIG" if arguments.first().is_some_and(|word| word.eq_ignore_ascii_case(b"SET")) => {
            one(arguments, 2);
            usize::MAX
        }
        b"BITFIELD" => {
            if let Some(set) = arguments.iter().rposition(|word| word.eq_ignore_ascii_case(b"SET")) {
                one(arguments, set + 3);
            }
            usize::MAX
        }
        b"ZADD" => {
            let option = |word: &&&[u8]| matches!(**word, b"NX" | b"XX" | b"CH" | b"INCR");
            let options = arguments.iter().skip(1).take_while(option).count();
            every(arguments, 2 + options, 2);
            usize::MAX
        }
        _ => usize::MAX,
    };
    arguments.get(..kept.min(arguments.len())).unwrap_or_default()
}

/// A Memcached command without what follows its first line.
pub(super) fn memcached(text: &[u8]) -> Vec<u8> {
    let end = text.windows(2).position(|pair| pair == b"\r\n").unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_by_command() {
        for (text, expected) in [
            ("AUTH my-secret-password user", "AUTH ?"),
            ("SET user:12345 value", "SET user:12345 ?"),
            ("set k \"a b\" EX 5", "set k ? EX 5"),
            ("GET user:123", "GET user:123"),
            ("HSET key f1 v f2 v", "HSET key f1 ? f2 ?"),
            ("HMSET key field value \n HMSET key field value\n\n ", "HMSET key field ?\nHMSET key field ?"),
            ("MSET\nMSET key value", "MSET\nMSET key ?"),
            (
                "GEOADD key longitude latitude member longitude latitude member",
                "GEOADD key longitude latitude ? longitude latitude ?",
            ),
            ("GEOADD key longitude latitude", "GEOADD key longitude latitude"),
            ("SADD key member [member ...]", "SADD key ?"),
            ("LINSERT key BEFORE pivot value", "LINSERT key BEFORE pivot ?"),
            ("CONFIG SET parameter value", "CONFIG SET parameter ?"),
            ("CONFIG foo bar baz", "CONFIG foo bar baz"),
            (
                "BITFIELD key GET type offset SET type offset value INCRBY type",
                "BITFIELD key GET type offset SET type offset ? INCRBY type",
            ),
            ("BITFIELD key SET type offset", "BITFIELD key SET type offset"),
            ("ZADD key NX CH score member score member", "ZADD key NX CH score ? score ?"),
            ("ZADD key XX INCR score", "ZADD key XX INCR score"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(obfuscate(text.as_bytes())).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn memcached_keeps_the_command() {
        assert_eq!(memcached(b"set mykey 0 60 5\r\nhello\r\n"), b"set mykey 0 60 5");
        assert_eq!(memcached(b"get mykey"), b"get mykey");
    }
}
