//! Ending nodes: those a reload replaced, or all of them.

use std::sync::Arc;
use std::time::Duration;

use component::edge::Replaced;
use component::{Deadline, Health, Host};

use super::{Graph, Node, NodeKey};

/// Time for components that were started by a reload that then failed.
pub(super) const ROLLBACK: Duration = Duration::from_secs(5);

/// Share of the time until the deadline that receivers and processors may take, so that exporters can empty their queues.
const UPSTREAM_SHARE: f64 = 0.7;

/// What could not be stopped cleanly.
#[derive(Clone, Debug, Default)]
pub struct StopReport {
    /// Component and what it said.
    pub problems: Vec<(String, String)>,
}

/// Stops `node`. Health is told to `host`, unless another node of that key is the one it tells of.
pub(super) async fn stop_node(key: &NodeKey, node: &Node, deadline: Deadline, host: Option<&Host>) -> Option<String> {
    let tell = |health| {
        if let Some(host) = host {
            host.report_health(key.to_string(), health);
        }
    };
    tell(Health::Stopping);
    // A component that ignores its deadline must not hold up the others for ever.
    let stopped =
        Deadline::after(deadline.remaining() + GRACE).bound(node.instance.component().shutdown(deadline)).await;
    tell(Health::Stopped);
    match stopped {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error.to_string()),
        None => Some("did not stop by its deadline".to_owned()),
    }
}

/// How much longer than its deadline a component may take before it is left behind.
const GRACE: Duration = Duration::from_secs(1);

impl Graph {
    /// Stops every node that `successor` (an empty graph at shutdown) does not contain, upstream first.
    ///
    /// `replaced` are the edge targets that were swapped out: batches inside them finish before their nodes end.
    pub async fn stop(&self, successor: &Self, replaced: Vec<Replaced>, deadline: Deadline, host: &Host) -> StopReport {
        let upstream = Deadline::after(deadline.remaining().mul_f64(UPSTREAM_SHARE));
        let mut report = StopReport::default();
        let order = self.start_order();
        let gone = |key: &&NodeKey| match (self.nodes.get(*key), successor.nodes.get(*key)) {
            (Some(old), Some(new)) => !Arc::ptr_eq(&old.identity, &new.identity),
            (Some(_), None) => true,
            (None, _) => false,
        };
        for key in order.iter().rev().filter(gone) {
            // Receivers stop first; then what they had handed over must have been answered.
            if !matches!(key, NodeKey::Receiver(_)) {
                for target in &replaced {
                    if !target.drained(upstream).await {
                        tracing::warn!(component = %key, "batches are still inside a replaced part of the graph");
                    }
                }
            }
            let until = match key {
                NodeKey::Exporter(..) | NodeKey::Extension(_) => deadline,
                _ => upstream,
            };
            let Some(node) = self.nodes.get(key) else { continue };
            if let Some(problem) =
                stop_node(key, node, until, (!successor.nodes.contains_key(key)).then_some(host)).await
            {
                tracing::warn!(component = %key, problem, "did not stop cleanly");
                report.problems.push((key.to_string(), problem));
            }
        }
        report
    }
}
