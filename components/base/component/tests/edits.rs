//! Editing processors in a row: opened once, sealed once, every item that goes is in the books.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};

use component::{Accepted, Component, ConsumeFuture, Consumer, DeliveryError, Edge, Edit, Process, Processor, Row};
use pdata::edit::{Level, OpenBatch, Scalar};
use pdata::{Account, Batch, ByteAccount, Context, Ledger, Outcome, Payload, Signal, Utf8Policy};

/// Field numbers of a log record.
const SEVERITY_NUMBER: u32 = 2;
const SEVERITY_TEXT: u32 = 3;

/// Drops records of a severity, or refuses the batch.
struct Drops {
    severity: i64,
    outcome: Outcome,
    fails: bool,
}

impl Component for Drops {}

impl Edit for Drops {
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError> {
        if self.fails {
            return Err(DeliveryError::permanent("not this one"));
        }
        let removed = batch.retain(Level::Items, self.outcome, |editor, _, place| {
            let record = editor.open(place.at()).unwrap();
            let kept = editor.get(record, SEVERITY_NUMBER) != Some(Scalar::Int(self.severity));
            let text = editor.text(record, SEVERITY_TEXT).len() + 1;
            editor.set(record, SEVERITY_TEXT, Scalar::Str(&"x".repeat(text))).unwrap();
            Ok::<_, DeliveryError>(kept)
        })?;
        let rejected_items = if self.outcome == Outcome::Rejected { removed } else { 0 };
        Ok(Accepted { rejected_items, message: None })
    }
}

#[derive(Default)]
struct Sink(Mutex<Vec<Vec<u8>>>, bool);

impl Consumer for Sink {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            if self.1 {
                return Err(DeliveryError::retryable("later", batch));
            }
            self.0.lock().unwrap().push(batch.payload().to_bytes().to_vec());
            batch.settle(Outcome::Delivered);
            Ok(Accepted::all())
        })
    }
}

/// Log records with these severities, in one scope.
fn logs(severities: &[u8]) -> Vec<u8> {
    let records: Vec<u8> = severities.iter().flat_map(|severity| [0x12, 2, 0x10, *severity]).collect();
    let scope = [&[0x12, records.len() as u8][..], &records].concat();
    [&[0x0a, scope.len() as u8][..], &scope].concat()
}

fn batch(account: &Arc<Account>, severities: &[u8]) -> Batch {
    let bytes = ByteAccount::unlimited();
    let (payload, _) = Payload::from_body(Signal::Logs, logs(severities), bytes.charge(0), Utf8Policy::Repair).unwrap();
    let stake = account.receive(payload.items());
    Batch::from_parts(payload, Arc::new(Context::default()), stake)
}

fn process(severity: i64, outcome: Outcome, fails: bool) -> Arc<dyn Process> {
    match Processor::editing(Drops { severity, outcome, fails }) {
        Processor::Sync(process) => process,
        Processor::Stateful(_) => unreachable!("edits are synchronous"),
    }
}

fn account() -> Arc<Account> {
    Ledger::new().account(&"logs".into(), Signal::Logs, "")
}

fn row(processors: Vec<Arc<dyn Process>>, fails: bool) -> (Row, Arc<Sink>) {
    let sink = Arc::new(Sink(Mutex::default(), fails));
    let next: Arc<dyn Consumer> = Arc::<Sink>::clone(&sink);
    (Row::new(processors, Edge::new("test", next, ByteAccount::unlimited())), sink)
}

#[tokio::test]
async fn neighbours_share_an_edit_and_account_for_what_they_remove() {
    let account = account();
    let filter = process(5, Outcome::Dropped("filtered"), false);
    let refuse = process(9, Outcome::Rejected, false);
    let (row, sink) = row(vec![filter, refuse], false);
    let answer = row.consume(batch(&account, &[5, 1, 9, 5, 5, 2, 9])).await.unwrap();
    assert_eq!(answer.rejected_items, 2);
    let totals = account.read();
    assert_eq!((totals.dropped["filtered"], totals.rejected, totals.delivered), (3, 2, 2));
    assert_eq!((totals.held, totals.difference()), (0, 0));
    let left = sink.0.lock().unwrap().concat();
    let texts = left.windows(4).filter(|four| *four == [0x1a, 2, b'x', b'x']).count();
    assert_eq!(texts, 2, "both wrote to both records that are left");
}

#[tokio::test]
async fn nothing_left_is_a_success() {
    let account = account();
    let (row, sink) = row(vec![process(5, Outcome::Dropped("filtered"), false)], false);
    assert_eq!(row.consume(batch(&account, &[5, 5])).await.unwrap(), Accepted::all());
    assert!(sink.0.lock().unwrap().is_empty());
    assert_eq!((account.read().dropped["filtered"], account.read().difference()), (2, 0));
}

#[tokio::test]
async fn a_refusal_hands_back_what_came() {
    let account = account();
    let first = process(5, Outcome::Dropped("filtered"), false);
    let (failing, _) = row(vec![Arc::clone(&first), process(0, Outcome::Rejected, true)], false);
    let (unreachable, _) = row(vec![first], true);
    for row in [failing, unreachable] {
        let mut error = row.consume(batch(&account, &[5, 1])).await.unwrap_err();
        let back = error.take_undelivered().unwrap();
        assert_eq!(back.payload().to_bytes(), logs(&[5, 1]));
        back.settle(Outcome::Refused);
        assert_eq!((account.read().held, account.read().difference()), (0, 0));
    }
}
