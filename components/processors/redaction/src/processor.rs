//! The processor: a worker's state for each batch that is under way, the books of what is refused, what was found told.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use component::pages::Page;
use component::{Accepted, BoxFuture, Component, DeliveryError, Edit, Host, Settings, StartError};
use pdata::edit::{OpenBatch, Rewritten};
use pdata::{Outcome, Signal};

use crate::config::RedactionConfig;
use crate::inventory::Inventory;
use crate::metrics::Metrics;
use crate::pass::{Pass, Refused};
use crate::rules::Rules;
use crate::text::{Reader, Refusal, State};
use crate::writer::Writer;

/// Where the inventory can be read.
pub const INVENTORY_PAGE: &str = "/redaction/inventory";

/// States that are kept for later batches. More batches at once make states of their own.
const STATES_KEPT_MAX: usize = 8;

/// An instance.
#[derive(Debug)]
pub(crate) struct Redaction {
    id: String,
    rules: Rules,
    states: Mutex<Vec<State>>,
    inventory: Arc<Inventory>,
    metrics: Metrics,
    page: Mutex<Option<Page>>,
}

impl Redaction {
    pub(crate) fn new(settings: &Settings, config: &RedactionConfig, signal: Signal) -> Result<Self, String> {
        let key = format!("processor/{}", settings.id);
        let inventory = settings.shared.get_or_create(&key, || Ok::<_, String>(Arc::new(Inventory::default())))?;
        let rules = Rules::new(config)?;
        let metrics = Metrics::new(&settings.telemetry, signal, rules.kinds);
        Ok(Self {
            id: settings.id.to_string(),
            rules,
            states: Mutex::default(),
            inventory,
            metrics,
            page: Mutex::default(),
        })
    }

    fn take_state(&self) -> State {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Tells what was found, and keeps the state for another batch.
    fn give_back(&self, mut state: State) {
        let mut found = state.tally.take().inspect(|(entry, count)| self.metrics.found(entry.rule, *count)).peekable();
        if found.peek().is_some() {
            self.inventory.add(found, SystemTime::now());
        } else {
            drop(found);
        }
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if states.len() < STATES_KEPT_MAX {
            states.push(state);
        }
    }

    /// Settles what was refused, and says why.
    fn settle(&self, batch: &mut OpenBatch, refused: &[Refused]) -> Accepted {
        let mut reasons: Vec<Cow<'static, str>> = Vec::new();
        let mut rejected_items = 0;
        for Refused { position, items, why } in refused {
            batch.stake_mut().settle_range(*position, *items, Outcome::Rejected);
            rejected_items += items;
            let reason = match why {
                Refusal::Finding(kind) => Cow::Borrowed(kind.name()),
                Refusal::Key(place) => Cow::Owned(format!("keys like `{}`", self.rules.forbidden_text(*place))),
            };
            self.metrics.refused.add(*items);
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        if rejected_items == 0 {
            return Accepted::all();
        }
        let message = format!("`{}` refuses {rejected_items} items as forbidden: {}", self.id, reasons.join(", "));
        Accepted { rejected_items, message: Some(message.into()) }
    }
}

impl Edit for Redaction {
    fn edit(&self, batch: &mut OpenBatch) -> Result<Accepted, DeliveryError> {
        let mut state = self.take_state();
        state.renderer.derived.enter(batch.context().tenant_name());
        let editor = batch.editor_mut();
        let (signal, mut position, mut refused) = (editor.signal(), 0, Vec::new());
        let outcome = editor.rewrite_segments(|request| {
            let writer = Writer::new(request, state.growth.capacity(request.len()));
            let reader = Reader::new(&self.rules, &mut state, writer);
            let (left, rewritten) = Pass::new(signal, reader, position, &mut refused).run();
            position = left;
            if let Some(Rewritten { body, .. }) = &rewritten {
                state.growth.learn(request.len(), body.len());
            }
            rewritten
        });
        self.give_back(state);
        match outcome {
            Ok(_) => Ok(self.settle(batch, &refused)),
            Err(error) => {
                self.metrics.failed.add(batch.editor().items());
                Err(DeliveryError::permanent(format!("`{}` cannot write the batch: {error}", self.id)))
            }
        }
    }
}

impl Component for Redaction {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async move {
            let inventory = Arc::clone(&self.inventory);
            let page = host.registry().pages().publish(INVENTORY_PAGE, &self.id, move || inventory.to_json());
            *self.page.lock().unwrap_or_else(PoisonError::into_inner) = Some(page);
            Ok(())
        })
    }
}
