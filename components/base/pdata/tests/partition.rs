//! Dividing a batch: whose items are whose, and what is shared. That the parts are the whole is held in `split.rs`.

use std::sync::Arc;

use pdata::{Batch, Ledger, Outcome, Signal};

#[test]
fn parts_of_a_divided_batch_bring_their_stakes() {
    let ledger = Ledger::new();
    let accounts: Vec<_> =
        ["", "b"].map(|tenant| ledger.account(&"traces/test".into(), Signal::Traces, tenant)).into_iter().collect();
    let batch_of = |first: u64, items: u64, account: &Arc<pdata::Account>| {
        let mut batch = testkit::items::batch(Signal::Traces, first, items);
        let _none = batch.replace_stake(account.receive(items));
        batch
    };
    // Three of one account, then three of another: even ones go one way, odd ones the other.
    let mut batch = batch_of(0, 3, &accounts[0]);
    batch.append(batch_of(3, 3, &accounts[1]));
    let mut at = 0;
    let parts = batch.partition(3, |_| {
        at += 1;
        (at - 1) % 2
    });
    let numbers = |batch: &Batch| testkit::items::numbers(batch.payload()).unwrap();
    assert_eq!(
        parts.iter().map(|(part, batch)| (*part, numbers(batch))).collect::<Vec<_>>(),
        [(0, vec![0, 2, 4]), (1, vec![1, 3, 5])]
    );
    for (part, batch) in parts {
        batch.settle(if part == 0 { Outcome::Delivered } else { Outcome::Rejected });
    }
    let totals: Vec<_> = accounts.iter().map(|account| account.read()).collect();
    assert_eq!(
        totals.iter().map(|totals| (totals.delivered, totals.rejected, totals.held)).collect::<Vec<_>>(),
        [(2, 1, 0), (1, 2, 0)]
    );
    // What goes one way is the batch itself.
    let whole = batch_of(0, 3, &accounts[0]);
    let bytes = whole.payload().segments()[0].bytes().as_ptr();
    let mut parts = whole.partition(3, |_| 9);
    let (part, whole) = parts.pop().unwrap();
    assert_eq!((part, parts.len(), whole.payload().segments()[0].bytes().as_ptr()), (2, 0, bytes));
    whole.settle(Outcome::Delivered);
}
