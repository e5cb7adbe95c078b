//! The fuzz target's check over pseudo-random bytes from fixed seeds: plain noise, and cuttings of values pasted together.

#[path = "../corpus/any_bytes.rs"]
mod any_bytes;

#[path = "../corpus/corpus.rs"]
mod corpus;

#[test]
fn noise_breaks_nothing() {
    let mut random = corpus::Random(1);
    for round in 0..4000 {
        let bytes: Vec<u8> = (0..random.below(120)).map(|_| random.next() as u8).collect();
        any_bytes::any_bytes(&bytes)
            .unwrap_or_else(|wrong| panic!("round {round}: {wrong}: `{}`", bytes.escape_ascii()));
    }
}

#[test]
fn shuffled_pieces_of_logs_break_nothing() {
    let mut random = corpus::Random(2);
    let lines = corpus::corpus(3, 200_000, 60).lines;
    for round in 0..6000 {
        let mut bytes = vec![random.next() as u8];
        for _ in 0..1 + random.below(5) {
            let line = lines[random.below(lines.len() as u64) as usize].as_bytes();
            let from = random.below(line.len() as u64) as usize;
            let to = from + random.below((line.len() - from).min(60) as u64 + 1) as usize;
            bytes.extend_from_slice(&line[from..to]);
            bytes.extend_from_slice(random.pick(&[
                &b""[..],
                b" ",
                b"=",
                b":",
                b"@",
                b"%",
                b"%3A",
                b"'",
                b"\\\"",
                b"\xff",
                b"&",
                b"+",
            ]));
        }
        any_bytes::any_bytes(&bytes)
            .unwrap_or_else(|wrong| panic!("round {round}: {wrong}: `{}`", bytes.escape_ascii()));
    }
}
