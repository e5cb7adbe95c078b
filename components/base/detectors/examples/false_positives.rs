//! Counts, over made-up ordinary logs, what is found that is not there and what is there and not found, per kind:
//! `cargo run -p detectors --example false_positives`. The table is README.md's.

use detectors::{Kind, Options, Place, Scanner};

#[path = "../corpus/corpus.rs"]
mod corpus;

const BYTES: usize = 20 << 20;

#[expect(clippy::print_stdout, reason = "the table is this program's output")]
fn main() {
    let scanner = Scanner::new(&Options::default()).expect("the default options are valid");
    let corpus = corpus::corpus(7, BYTES, 5);
    let bytes: usize = corpus.lines.iter().map(|line| line.len() + 1).sum();
    let (mut there, mut missed, mut wrong) = ([0; Kind::ALL.len()], [0; Kind::ALL.len()], [0; Kind::ALL.len()]);
    let mut example: [Option<String>; Kind::ALL.len()] = [const { None }; Kind::ALL.len()];
    let mut truth = corpus.truth.iter().peekable();
    let mut findings = Vec::new();
    for (number, line) in corpus.lines.iter().enumerate() {
        scanner.scan(line.as_bytes(), Place::text(), &mut findings);
        let mut true_here = Vec::new();
        while let Some(&&(at, kind, start, end)) = truth.peek().filter(|&&&(at, ..)| at == number) {
            true_here.push((kind, start, end));
            truth.next();
            there[kind as usize] += 1;
            let found = findings.iter().any(|f| f.start <= start && end <= f.end);
            missed[kind as usize] += usize::from(!found);
            debug_assert_eq!(at, number);
        }
        for finding in &findings {
            if !true_here.iter().any(|&(_, start, end)| finding.start < end && start < finding.end) {
                wrong[finding.kind as usize] += 1;
                let what = || String::from_utf8_lossy(&line.as_bytes()[finding.start..finding.end]).into_owned();
                example[finding.kind as usize].get_or_insert_with(what);
            }
        }
    }
    println!("{} lines, {bytes} bytes\n", corpus.lines.len());
    println!("| kind | there | missed | false positives | per million lines | such as |\n|---|---|---|---|---|---|");
    for kind in Kind::ALL {
        let i = kind as usize;
        let rate = wrong[i] as f64 * 1e6 / corpus.lines.len() as f64;
        let example = example[i].as_ref().map(|example| format!("`{example}`")).unwrap_or_default();
        println!("| {kind} | {} | {} | {} | {rate:.1} | {example} |", there[i], missed[i], wrong[i]);
    }
}
