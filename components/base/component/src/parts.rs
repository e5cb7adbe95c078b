//! One answer of several parts that a batch was divided into.

use pdata::{Batch, Outcome};

use crate::consumer::{Accepted, ConsumeResult};
use crate::error::DeliveryError;

/// Puts answers together: any that may be tried again makes the whole so, and hands back those parts. What was refused
/// for good beside parts that were not counts as rejected. `restore` may put a part that goes back into the state it came
/// in; it is given the number of its answer.
///
/// # Errors
/// The first retryable error with everything undelivered, or the first permanent one when all parts failed.
pub fn combine(
    answers: impl IntoIterator<Item = ConsumeResult>,
    mut restore: impl FnMut(usize, &mut Batch),
) -> ConsumeResult {
    let mut accepted = Accepted::all();
    let mut back: Option<Batch> = None;
    let mut retryable: Option<DeliveryError> = None;
    let mut permanent: Option<DeliveryError> = None;
    let (mut parts, mut failed) = (0, 0);
    for (number, answer) in answers.into_iter().enumerate() {
        parts += 1;
        let mut error = match answer {
            Ok(answer) => {
                accepted = accepted.and(answer);
                continue;
            }
            Err(error) => error,
        };
        failed += 1;
        let undelivered = error.take_undelivered();
        if error.is_retryable() {
            if let Some(mut part) = undelivered {
                restore(number, &mut part);
                match &mut back {
                    Some(back) => back.append(part),
                    None => back = Some(part),
                }
            }
            retryable.get_or_insert(error);
        } else {
            if let Some(part) = undelivered {
                accepted.rejected_items += part.items();
                part.settle(Outcome::Rejected);
            }
            accepted = accepted.and(Accepted { rejected_items: 0, message: Some(error.message().into()) });
            permanent.get_or_insert(error);
        }
    }
    match (retryable, permanent) {
        (Some(error), _) => Err(match back {
            Some(back) => error.with_undelivered(back),
            None => error,
        }),
        (None, Some(error)) if failed == parts => Err(error),
        _ => Ok(accepted),
    }
}
