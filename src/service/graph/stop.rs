//! Ending nodes: those a reload replaced, or all of them.
//!
//! A [`Retirement`] owns what it ends, so that it goes on when nobody waits for it: the reload that began it may be
//! interrupted by a shutdown, which then waits for what it needs of it ([`Retiring`]).
//!
//! The order: nodes that can hand over to a successor begin at once, because their place is taken. Receivers stop. Then
//! processors and connectors, upstream first, then exporters, all at once, then extensions. Before a node is stopped, what
//! was handed over at edges that lead to it is answered. Edges that lead elsewhere are nobody's concern: a batch in there is
//! in the care of kept nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use component::edge::Replaced;
use component::{Consumer, Deadline, Health, Host, ShutdownError};
use futures_util::future::{join, join_all};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Former, Graph, Instance, Node, NodeKey};

/// Time for components that were started by a reload that then failed.
pub(super) const ROLLBACK: Duration = Duration::from_secs(5);

/// Share of the time until the deadline that receivers and processors may take, so that exporters can empty their queues.
const UPSTREAM_SHARE: f64 = 0.7;

/// How much longer than its deadline a component may take before it is left behind.
const GRACE: Duration = Duration::from_secs(1);

/// What could not be stopped cleanly.
#[derive(Clone, Debug, Default)]
pub struct StopReport {
    /// Component and what it said.
    pub problems: Vec<(String, String)>,
}

impl StopReport {
    fn add(&mut self, ended: impl IntoIterator<Item = Ended>) {
        self.problems.extend(ended.into_iter().flatten());
    }
}

/// A component that did not end cleanly, and what it said.
type Ended = Option<(String, String)>;

/// Stops `node`. Health is told to `host`, unless another node of that key is the one it tells of.
pub(super) async fn stop_node(key: &NodeKey, node: &Node, deadline: Deadline, host: Option<&Host>) -> Option<String> {
    let tell = |health| {
        if let Some(host) = host {
            host.report_health(key.to_string(), health);
        }
    };
    tell(Health::Stopping);
    let problem = bounded(node.instance.component().shutdown(deadline), deadline).await;
    tell(Health::Stopped);
    problem
}

/// A component that ignores its deadline must not hold up the others for ever.
async fn bounded(ending: impl Future<Output = Result<(), ShutdownError>>, deadline: Deadline) -> Option<String> {
    match Deadline::after(deadline.remaining() + GRACE).bound(ending).await {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error.to_string()),
        None => Some("did not stop by its deadline".to_owned()),
    }
}

/// A node that ends.
struct Leaving {
    key: NodeKey,
    node: Node,
    /// Who may take its place.
    successor: Option<Arc<dyn Consumer>>,
    /// Where batches were handed over that may be inside it.
    feeding: Vec<Arc<Replaced>>,
    /// Whether health tells of it.
    is_told: bool,
}

impl Leaving {
    async fn stop(&self, drained_by: Deadline, deadline: Deadline, host: &Host) -> Ended {
        for target in &self.feeding {
            if !target.drained(drained_by).await {
                tracing::warn!(component = %self.key, "batches are still inside a replaced part of the graph");
            }
        }
        let problem = stop_node(&self.key, &self.node, deadline, self.is_told.then_some(host)).await;
        self.ended(problem)
    }

    fn ended(&self, problem: Option<String>) -> Ended {
        let problem = problem?;
        tracing::warn!(component = %self.key, problem, "did not stop cleanly");
        Some((self.key.to_string(), problem))
    }
}

/// The nodes that end.
pub struct Retirement {
    /// Upstream first.
    leaving: Vec<Leaving>,
}

impl std::fmt::Debug for Retirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.leaving.iter().map(|leaving| leaving.key.to_string())).finish()
    }
}

/// A retirement in a task of its own.
#[derive(Debug)]
pub struct Retiring {
    task: JoinHandle<StopReport>,
    /// Whether nothing comes from its nodes any more.
    is_quiet: watch::Receiver<bool>,
}

impl Retiring {
    /// Waits for its end. Dropping the future changes nothing.
    pub async fn ended(&mut self) -> StopReport {
        match (&mut self.task).await {
            Ok(report) => report,
            Err(error) => StopReport { problems: vec![("reload".to_owned(), error.to_string())] },
        }
    }

    async fn quiet(&mut self) {
        // Without a sender it has ended.
        let _ended = self.is_quiet.wait_for(|is_quiet| *is_quiet).await;
    }
}

impl Retirement {
    /// Whether nothing ends.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaving.is_empty()
    }

    /// Runs it in a task.
    #[must_use]
    pub fn spawn(self, deadline: Deadline, host: Host) -> Retiring {
        let (tell, is_quiet) = watch::channel(false);
        Retiring { task: tokio::spawn(async move { self.run(deadline, &host, None, &tell).await }), is_quiet }
    }

    /// Ends every node of the running graph, which an `earlier` retirement may still hand over to and drain into.
    pub async fn run_after(self, earlier: Option<Retiring>, deadline: Deadline, host: &Host) -> StopReport {
        self.run(deadline, host, earlier, &watch::Sender::new(false)).await
    }

    async fn run(
        self,
        deadline: Deadline,
        host: &Host,
        mut earlier: Option<Retiring>,
        is_quiet: &watch::Sender<bool>,
    ) -> StopReport {
        let upstream = Deadline::after(deadline.remaining().mul_f64(UPSTREAM_SHARE));
        let mut report = StopReport::default();
        let (mut handing, mut receivers, mut middle) = (Vec::new(), Vec::new(), Vec::new());
        let (mut exporters, mut extensions) = (Vec::new(), Vec::new());
        for leaving in &self.leaving {
            let successor = leaving.successor.as_ref();
            if let Some(ending) = successor.and_then(|to| leaving.node.instance.component().hand_over(to, upstream)) {
                handing.push(async move { leaving.ended(bounded(ending, upstream).await) });
                continue;
            }
            match leaving.key {
                NodeKey::Receiver(_) => receivers.push(leaving),
                NodeKey::Processor(..) | NodeKey::Connector(..) => middle.push(leaving),
                NodeKey::Exporter(..) => exporters.push(leaving),
                NodeKey::Extension(_) => extensions.push(leaving),
            }
        }
        let draining = async {
            let stopping = receivers.into_iter().map(|leaving| leaving.stop(upstream, upstream, host));
            let mut ended = join_all(stopping).await;
            if let Some(earlier) = &mut earlier {
                let _in_time = upstream.bound(earlier.quiet()).await;
            }
            for leaving in middle {
                ended.push(leaving.stop(upstream, upstream, host).await);
            }
            ended
        };
        let (handed, drained) = join(join_all(handing), draining).await;
        report.add(handed.into_iter().chain(drained));
        is_quiet.send_replace(true);
        report.add(join_all(exporters.into_iter().map(|leaving| leaving.stop(upstream, deadline, host))).await);
        if let Some(earlier) = &mut earlier {
            match Deadline::after(deadline.remaining() + GRACE).bound(earlier.ended()).await {
                Some(ended) => report.problems.extend(ended.problems),
                None => report.problems.push(("reload".to_owned(), "did not end by the deadline".to_owned())),
            }
        }
        for leaving in extensions {
            report.add([leaving.stop(upstream, deadline, host).await]);
        }
        report
    }
}

impl Graph {
    /// What has to end when `successor` (an empty graph at shutdown) takes over: every node that it does not contain.
    ///
    /// `replaced` are the edge targets that were swapped out.
    #[must_use]
    pub fn retire(&self, successor: &mut Self, mut replaced: BTreeMap<String, Replaced>) -> Retirement {
        let now = self.reaches.iter().map(|(name, reach)| {
            let target = replaced.remove(name).map(Arc::new);
            Former { name: name.clone(), reach: reach.clone(), target }
        });
        let former: Vec<Former> = self.former.iter().cloned().chain(now).collect();
        let leaving = self.start_order().into_iter().rev().filter_map(|key| {
            let node = self.nodes.get(&key)?.clone();
            let next = successor.nodes.get(&key);
            if next.is_some_and(|next| Arc::ptr_eq(&next.identity, &node.identity)) {
                return None;
            }
            let is_told = next.is_none();
            let next = next.filter(|next| next.identity.type_name == node.identity.type_name);
            let successor_stage = next.and_then(|next| match &next.instance {
                Instance::Stage(stage) => Some(Arc::clone(stage) as Arc<dyn Consumer>),
                _ => None,
            });
            let feeding = feeding(&key, &former, successor);
            Some(Leaving { key, node, successor: successor_stage, feeding, is_told })
        });
        let retirement = Retirement { leaving: leaving.collect() };
        let is_busy = |former: &Former| former.target.as_ref().is_some_and(|target| target.is_busy());
        if former.iter().any(is_busy) {
            successor.former = former.into_iter().filter(|former| former.target.is_none() || is_busy(former)).collect();
            successor.former.retain(|former| former.target.is_some() || !successor.edges.contains_key(&former.name));
        }
        retirement
    }
}

/// Where batches were handed over that may be inside the node `key`: at edges that lead to it, and, where one of these is not
/// in `successor` and so was not swapped, at those that lead to that edge.
fn feeding(key: &NodeKey, former: &[Former], successor: &Graph) -> Vec<Arc<Replaced>> {
    let mut seen = BTreeSet::new();
    let mut feeding = Vec::new();
    let mut found: Vec<&Former> = former.iter().filter(|former| former.reach.nodes.contains(key)).collect();
    while let Some(edge) = found.pop() {
        feeding.extend(edge.target.clone());
        if !successor.edges.contains_key(&edge.name) && seen.insert(edge.name.as_str()) {
            found.extend(former.iter().filter(|former| former.reach.edges.contains(&edge.name)));
        }
    }
    feeding
}
