//! What is broken at the moment, and how it is mended while something else stays broken.

use std::fmt;
use std::time::Duration;

use highwater_model::id::NodeId;
use highwater_transport::env::Instant;

use super::Kind;
use crate::cluster::{Cluster, ClusterError, Disorder};
use crate::random::Random;

/// A fault that has begun.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) kind: Kind,
    /// When it is to end.
    pub(super) until: Instant,
    pub(super) harm: Harm,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// These brokers do not run.
    Killed(Vec<NodeId>),
    /// These machines have no power.
    WithoutPower(Vec<NodeId>),
    /// These brokers are held still.
    Still(Vec<NodeId>),
    /// From whom nothing reaches whom.
    Cut(Vec<(NodeId, NodeId)>),
    /// From whom to whom everything takes so much longer.
    Late(Vec<(NodeId, NodeId)>, Duration),
    /// How datagrams between brokers are treated.
    Disordered(Disorder),
}

impl Harm {
    /// Brings it about.
    pub(super) async fn inflict(&self, cluster: &mut impl Cluster) -> Result<(), ClusterError> {
        match self {
            Self::Killed(nodes) => cluster.kill(nodes).await,
            Self::WithoutPower(nodes) => cluster.lose_power(nodes).await,
            Self::Still(nodes) => {
                nodes.iter().for_each(|node| cluster.pause(*node));
                Ok(())
            }
            Self::Cut(links) => {
                links.iter().for_each(|(from, to)| cluster.cut(*from, *to));
                Ok(())
            }
            Self::Late(links, by) => {
                links.iter().for_each(|(from, to)| cluster.slow(*from, *to, *by));
                Ok(())
            }
            Self::Disordered(disorder) => {
                cluster.disorder(*disorder);
                Ok(())
            }
        }
    }

    /// Undoes it where no other harm keeps it up. Brokers start one after the other, in any order.
    pub(super) async fn mend(
        &self,
        cluster: &mut impl Cluster,
        others: &[&Self],
        random: &mut Random,
    ) -> Result<(), ClusterError> {
        match self {
            Self::Killed(nodes) | Self::WithoutPower(nodes) => {
                for node in random.shuffled(nodes.clone()) {
                    if others.iter().any(|other| other.keeps_down(node)) {
                        continue;
                    }
                    cluster.start(node).await?;
                    if others.iter().any(|other| other.keeps_still(node)) {
                        cluster.pause(node);
                    }
                }
            }
            Self::Still(nodes) => {
                let held = |node: &&NodeId| others.iter().any(|other| other.keeps_still(**node));
                nodes.iter().filter(|node| !held(node)).for_each(|node| cluster.resume(*node));
            }
            Self::Cut(_) | Self::Late(..) | Self::Disordered(_) => {
                cluster.heal_network();
                for other in others {
                    match other {
                        Self::Cut(_) | Self::Late(..) | Self::Disordered(_) => other.inflict(cluster).await?,
                        Self::Killed(_) | Self::WithoutPower(_) | Self::Still(_) => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn keeps_down(&self, node: NodeId) -> bool {
        match self {
            Self::Killed(nodes) | Self::WithoutPower(nodes) => nodes.contains(&node),
            Self::Still(_) | Self::Cut(_) | Self::Late(..) | Self::Disordered(_) => false,
        }
    }

    fn keeps_still(&self, node: NodeId) -> bool {
        match self {
            Self::Still(nodes) => nodes.contains(&node),
            Self::Killed(_) | Self::WithoutPower(_) | Self::Cut(_) | Self::Late(..) | Self::Disordered(_) => {
                false
            }
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Killed(nodes) | Self::WithoutPower(nodes) | Self::Still(nodes) => {
                write!(f, "{}", listed(nodes))
            }
            Self::Cut(links) => write!(f, "{}", in_words(links)),
            Self::Late(links, by) => write!(f, "{} by {} ms", in_words(links), by.as_millis()),
            Self::Disordered(disorder) => write!(f, "{disorder}"),
        }
    }
}

fn in_words(links: &[(NodeId, NodeId)]) -> String {
    let links: Vec<String> = links.iter().map(|(from, to)| format!("{from} to {to}")).collect();
    links.join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use highwater_transport::env::Env;

    use super::*;
    use crate::cluster::{Disturbed, Means, NewClient};

    /// A cluster that does what it is told and writes it down.
    struct Noted {
        env: Env,
        said: Vec<String>,
    }

    impl Noted {
        fn note(&mut self, said: String) {
            self.said.push(said);
        }

        fn take(&mut self) -> String {
            std::mem::take(&mut self.said).join("; ")
        }
    }

    impl Cluster for Noted {
        fn env(&self) -> &Env {
            &self.env
        }

        fn nodes(&self) -> Vec<NodeId> {
            vec![NodeId(1), NodeId(2), NodeId(3)]
        }

        fn new_client(&self) -> NewClient {
            Arc::new(|| Err(ClusterError::new("nobody serves")))
        }

        fn is_up(&self, _node: NodeId) -> bool {
            true
        }

        fn lacks(&self, _means: Means) -> Option<String> {
            None
        }

        async fn start(&mut self, node: NodeId) -> Result<(), ClusterError> {
            self.note(format!("start {node}"));
            Ok(())
        }

        async fn kill(&mut self, nodes: &[NodeId]) -> Result<(), ClusterError> {
            self.note(format!("kill {nodes:?}"));
            Ok(())
        }

        async fn stop(&mut self, node: NodeId) -> Result<(), ClusterError> {
            self.note(format!("stop {node}"));
            Ok(())
        }

        async fn lose_power(&mut self, nodes: &[NodeId]) -> Result<(), ClusterError> {
            self.note(format!("lose power {nodes:?}"));
            Ok(())
        }

        fn pause(&mut self, node: NodeId) {
            self.note(format!("pause {node}"));
        }

        fn resume(&mut self, node: NodeId) {
            self.note(format!("resume {node}"));
        }

        fn cut(&mut self, from: NodeId, to: NodeId) {
            self.note(format!("cut {from} to {to}"));
        }

        fn slow(&mut self, from: NodeId, to: NodeId, by: Duration) {
            self.note(format!("slow {from} to {to} by {}", by.as_millis()));
        }

        fn disorder(&mut self, disorder: Disorder) {
            self.note(format!("disorder {}", disorder.loss_percent));
        }

        fn heal_network(&mut self) {
            self.note("heal".to_owned());
        }

        fn disturbed(&self) -> Disturbed {
            Disturbed::default()
        }

        fn found_dead(&mut self) -> Option<String> {
            None
        }

        fn data_dirs(&self) -> Vec<PathBuf> {
            Vec::new()
        }
    }

    /// What a cluster is told when one harm ends while others last.
    async fn mended(harm: Harm, others: &[Harm]) -> String {
        let mut cluster = Noted { env: Env::real(), said: Vec::new() };
        let others: Vec<&Harm> = others.iter().collect();
        harm.mend(&mut cluster, &others, &mut Random::of(1, 1)).await.unwrap();
        cluster.take()
    }

    fn nodes(numbers: &[u32]) -> Vec<NodeId> {
        numbers.iter().copied().map(NodeId).collect()
    }

    #[tokio::test]
    async fn what_another_fault_keeps_down_or_still_stays_so() {
        let killed = |numbers: &[u32]| Harm::Killed(nodes(numbers));
        let dark = |numbers: &[u32]| Harm::WithoutPower(nodes(numbers));
        let still = |numbers: &[u32]| Harm::Still(nodes(numbers));

        assert_eq!(mended(killed(&[1]), &[]).await, "start 1");
        assert_eq!(mended(killed(&[1, 2]), &[dark(&[2, 3])]).await, "start 1");
        assert_eq!(mended(dark(&[2]), &[killed(&[2]), still(&[2])]).await, "");
        assert_eq!(mended(dark(&[2]), &[still(&[2])]).await, "start 2; pause 2");
        assert_eq!(mended(still(&[1, 2]), &[still(&[2]), killed(&[1])]).await, "resume 1");
    }

    #[tokio::test]
    async fn what_another_fault_cuts_or_disorders_stays_so() {
        let cut = |from, to| Harm::Cut(vec![(NodeId(from), NodeId(to))]);
        let lossy = Disorder { loss_percent: 7, delay: Duration::from_millis(3), ..Disorder::default() };

        assert_eq!(mended(cut(1, 2), &[]).await, "heal");
        let others = [cut(1, 3), Harm::Disordered(lossy), Harm::Killed(nodes(&[2]))];
        assert_eq!(mended(cut(1, 2), &others).await, "heal; cut 1 to 3; disorder 7");
        assert_eq!(mended(Harm::Disordered(lossy), &[cut(2, 1)]).await, "heal; cut 2 to 1");
        let late = Harm::Late(vec![(NodeId(2), NodeId(1))], Duration::from_millis(9));
        assert_eq!(mended(cut(1, 2), &[late]).await, "heal; slow 2 to 1 by 9");
    }

    #[test]
    fn a_fault_is_told_in_words() {
        assert_eq!(Harm::Cut(vec![(NodeId(1), NodeId(2))]).to_string(), "1 to 2");
        assert_eq!(Harm::Killed(nodes(&[3, 1])).to_string(), "3, 1");
    }
}
