//! Each predicate is fed a state that breaks it, and the sound state that it must accept.

use alloc::vec::Vec;

use super::*;

/// A record of these tests: leader epoch, value, sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written(u32, u64, Option<u32>);

impl StoredRecord for Written {
    fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.0)
    }
    fn value(&self) -> u64 {
        self.1
    }
    fn sequence(&self) -> Option<(ProducerId, ProducerEpoch, Sequence)> {
        self.2.map(|sequence| (ProducerId(1), ProducerEpoch(0), Sequence(sequence)))
    }
}

const A: Written = Written(1, 1, Some(0));
const B: Written = Written(1, 2, Some(1));
const OTHER: Written = Written(2, 9, None);

/// What the tests bend: the parts of a view, owned.
struct Scene {
    logs: [Vec<Written>; 3],
    shapes: [LogShape<LeaderEpoch>; 3],
    watermarks: [u64; 3],
    leads: [Option<Leadership>; 3],
    running: [bool; 3],
    unclean: [bool; 3],
    partition: PartitionSight,
    ghosts: Ghosts<'static, Written>,
}

fn shape(records: &[Written]) -> LogShape<LeaderEpoch> {
    let mut log = LogShape::empty(Offset::ZERO);
    records.iter().for_each(|record| log.append(record.leader_epoch(), 1));
    let (end, generation) = (log.end(), log.generation());
    assert!(log.on_flushed(end, generation));
    log
}

const R1: ReplicaIdx = ReplicaIdx(1);
const R2: ReplicaIdx = ReplicaIdx(2);

impl Scene {
    /// Replica 0 leads in leader epoch 1; all hold two committed, acknowledged and consumed records.
    fn sound() -> Self {
        let isr = IsrSet::first(3);
        let leads = Leadership {
            leader_epoch: LeaderEpoch(1),
            isr,
            maximal_isr: isr,
            min_isr: 2,
            changing: false,
            partition_epoch: PartitionEpoch(4),
            waits_for_metadata: false,
        };
        let partition = PartitionSight {
            leader: Some(ReplicaIdx(0)),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(4),
            isr,
            eligible_leaders: IsrSet::EMPTY,
            min_isr: 2,
            flush: FlushPolicy::Commit,
            active: isr,
        };
        let ghosts = Ghosts {
            committed: &[A, B],
            acked: &[(Offset(1), 2)],
            consumed: &[(Offset(0), A)],
            refused: &[7],
            led: &[(LeaderEpoch(1), ReplicaIdx(0))],
            watermarks: &[(LeaderEpoch(1), Offset(2))],
            changes: &[(PartitionEpoch(3), LeaderEpoch(1)), (PartitionEpoch(4), LeaderEpoch(1))],
        };
        Self {
            logs: [alloc::vec![A, B], alloc::vec![A, B], alloc::vec![A, B]],
            shapes: [shape(&[A, B]), shape(&[A, B]), shape(&[A, B])],
            watermarks: [2, 1, 0],
            leads: [Some(leads), None, None],
            running: [true; 3],
            unclean: [false; 3],
            partition,
            ghosts,
        }
    }

    fn holding(mut self, replica: usize, records: &[Written]) -> Self {
        self.logs[replica] = records.into();
        self.shapes[replica] = shape(records);
        self.watermarks[replica] = self.watermarks[replica].min(records.len() as u64);
        self
    }

    fn view(&self) -> View<'_, Written> {
        let replica = |at: usize| ReplicaSight {
            running: self.running[at],
            log: &self.shapes[at],
            records: &self.logs[at],
            high_watermark: Offset(self.watermarks[at]),
            leads: self.leads[at],
            unclean: self.unclean[at],
        };
        View { replicas: (0..3).map(replica).collect(), partition: self.partition, ghosts: self.ghosts }
    }

    /// Names of the properties that this scene breaks.
    fn broken(&self) -> Vec<&'static str> {
        let view = self.view();
        properties().iter().filter(|property| (property.holds)(&view).is_err()).map(|p| p.name).collect()
    }
}

#[test]
fn a_sound_partition_breaks_nothing() {
    assert_eq!(Scene::sound().broken(), Vec::<&str>::new());
    assert_eq!(acked_was_replicated(&Scene::sound().view(), ReplicaIdx(0), Offset(1)), Ok(()));
}

#[test]
fn another_record_below_a_watermark_is_found() {
    let mut scene = Scene::sound().holding(1, &[OTHER]);
    scene.watermarks[1] = 1;
    assert!(scene.broken().contains(&committed_stable::NAME));
    assert!(scene.broken().contains(&log_matching::NAME));
}

#[test]
fn a_leader_without_a_committed_record_is_found() {
    assert!(Scene::sound().holding(0, &[A]).broken().contains(&leader_completeness::NAME));
}

#[test]
fn a_candidate_without_a_committed_record_is_found_even_outside_the_isr() {
    assert!(Scene::sound().holding(2, &[A]).broken().contains(&candidate_completeness::NAME));
    let mut parked = Scene::sound().holding(2, &[A]);
    parked.partition.isr = IsrSet::only(ReplicaIdx(0));
    parked.partition.eligible_leaders = IsrSet::only(R2);
    assert!(parked.broken().contains(&candidate_completeness::NAME));
}

#[test]
fn a_leader_that_does_not_wait_for_a_candidate_is_found() {
    let mut scene = Scene::sound();
    let leads = scene.leads[0].as_mut().expect("it leads");
    leads.maximal_isr = IsrSet::first(2);
    assert_eq!(scene.broken(), [name::QUORUM_SUPERSET]);
    scene.leads[0].as_mut().expect("it leads").changing = true;
    assert_eq!(scene.broken(), [name::QUORUM_SUPERSET]);
}

#[test]
fn an_isr_member_without_a_record_below_the_watermark_is_found() {
    assert!(Scene::sound().holding(2, &[A]).broken().contains(&strong_isr::NAME));
}

#[test]
fn two_records_of_one_leader_epoch_at_one_offset_are_found() {
    let twin = Written(1, 5, None);
    assert!(Scene::sound().holding(2, &[A, twin]).broken().contains(&log_matching::NAME));
}

#[test]
fn an_acknowledged_record_in_no_log_is_found() {
    let lost = Scene::sound().holding(0, &[A]).holding(1, &[A]).holding(2, &[A]);
    assert!(lost.broken().contains(&acked_not_lost::NAME));
}

#[test]
fn an_acknowledgement_of_what_too_few_hold_is_found() {
    let early = Scene::sound().holding(1, &[A]).holding(2, &[A]);
    let violation = acked_was_replicated(&early.view(), ReplicaIdx(0), Offset(1));
    assert_eq!(violation.map_err(|violation| violation.property), Err("replication/acked_was_replicated"));
}

#[test]
fn a_read_of_what_was_never_committed_is_found() {
    let mut scene = Scene::sound();
    scene.ghosts.consumed = &[(Offset(1), OTHER)];
    assert_eq!(scene.broken(), [consistent_read::NAME]);
}

#[test]
fn two_leaders_of_one_epoch_are_found() {
    let mut scene = Scene::sound();
    scene.leads[1] = scene.leads[0];
    assert!(scene.broken().contains(&one_leader_per_epoch::NAME));
}

#[test]
fn a_change_that_skips_an_epoch_is_found() {
    let mut scene = Scene::sound();
    scene.ghosts.changes = &[(PartitionEpoch(2), LeaderEpoch(1)), (PartitionEpoch(4), LeaderEpoch(1))];
    assert_eq!(scene.broken(), [cas_linear::NAME]);
}

#[test]
fn an_isr_with_a_fenced_member_is_found() {
    let mut scene = Scene::sound();
    scene.partition.active = IsrSet::first(2);
    assert_eq!(scene.broken(), [well_formed::NAME]);
}

#[test]
fn trust_in_a_replica_that_lost_records_is_found() {
    let mut scene = Scene::sound();
    scene.unclean[1] = true;
    assert_eq!(scene.broken(), [unclean_exclusion::NAME]);
    scene.partition.isr = scene.partition.isr.without(R1);
    scene.leads[0].as_mut().expect("it leads").changing = true;
    assert_eq!(scene.broken(), Vec::<&str>::new());
}

#[test]
fn a_watermark_outside_of_its_log_or_going_back_is_found() {
    let mut scene = Scene::sound();
    scene.watermarks[1] = 3;
    assert_eq!(scene.broken(), [name::WATERMARK_ORDER]);
    let mut scene = Scene::sound();
    scene.watermarks[0] = 1;
    assert_eq!(scene.broken(), [name::WATERMARK_ORDER]);
}

#[test]
fn an_epoch_history_of_other_records_is_found() {
    let mut scene = Scene::sound();
    scene.shapes[1] = shape(&[A, Written(2, 2, None)]);
    assert_eq!(scene.broken(), [name::EPOCH_HISTORY]);
    scene.shapes[1] = shape(&[A, B]);
    scene.shapes[1].begin_epoch(LeaderEpoch(2));
    assert_eq!(scene.broken(), Vec::<&str>::new());
}

#[test]
fn a_sequence_that_was_committed_twice_is_found() {
    let mut scene = Scene::sound();
    scene.ghosts.committed = &[A, B, B];
    scene.shapes[1] = shape(&[A, B, B]);
    assert!(scene.broken().contains(&no_duplicate::NAME));
}

#[test]
fn a_record_that_was_deleted_may_be_committed_once_more_and_no_other() {
    let mut scene = Scene::sound();
    let is_broken = |scene: &Scene| no_duplicate(&scene.view()).is_err();
    let trimmed = |records: &[Written], to| {
        let mut log = shape(records);
        log.trim(Offset(to));
        log
    };
    scene.ghosts.committed = &[A, A];
    assert!(is_broken(&scene), "each log has both");
    scene.shapes = [0, 1, 2].map(|_| trimmed(&[A, A], 1));
    assert!(!is_broken(&scene), "no log has both");
    scene.shapes[2] = shape(&[A, A]);
    assert!(is_broken(&scene), "one log has both");
    scene.ghosts.committed = &[A, B, B];
    scene.shapes = [0, 1, 2].map(|_| trimmed(&[A, B, B], 1));
    assert!(is_broken(&scene));
}

#[test]
fn a_refused_record_in_a_log_is_found() {
    let ghost = Written(1, 7, None);
    assert_eq!(Scene::sound().holding(0, &[A, B, ghost]).broken(), [no_ghost_ack::NAME]);
}

#[test]
fn a_leader_that_waits_for_metadata_that_never_comes_is_found() {
    let mut scene = Scene::sound();
    scene.leads[0].as_mut().expect("it leads").waits_for_metadata = true;
    assert_eq!(scene.broken(), [leader_waits_for_what_comes::NAME]);
    // There is something newer, and it is on its way.
    scene.partition.partition_epoch = PartitionEpoch(5);
    scene.ghosts.changes = &[(PartitionEpoch(4), LeaderEpoch(1)), (PartitionEpoch(5), LeaderEpoch(1))];
    assert_eq!(scene.broken(), Vec::<&str>::new());
}

#[test]
fn a_shrink_that_counts_before_it_is_accepted_is_found() {
    let leads = Leadership { changing: true, ..Scene::sound().leads[0].expect("it leads") };
    let judged =
        |maximal_isr| leader_waits_for_its_isr(ReplicaIdx(0), &Leadership { maximal_isr, ..leads }).is_ok();

    assert!(judged(IsrSet::first(3)));
    assert!(judged(IsrSet::first(4)), "an expansion is waited for as well");
    assert!(!judged(IsrSet::first(2)));
}

#[test]
fn an_acknowledgement_of_what_the_leaders_own_disk_lacks_is_found() {
    let disk = OnDisk { start: Offset(0), flushed: Offset(1), written: Offset(2), end: Offset(3) };
    let judged = |flush, offset| {
        leader_holds_what_it_acknowledged(ReplicaIdx(0), &disk, flush, Offset(offset)).is_ok()
    };

    assert!(judged(FlushPolicy::Commit, 0));
    assert!(!judged(FlushPolicy::Commit, 1));
    assert!(judged(FlushPolicy::Os, 1));
    assert!(!judged(FlushPolicy::Os, 2));
}
