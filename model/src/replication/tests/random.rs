//! Whatever comes, in whatever order: no panic, and a refusal changes nothing.

use proptest::prelude::*;

use super::*;
use crate::log::EpochEnd;

fn replica() -> impl Strategy<Value = ReplicaIdx> {
    prop_oneof![8 => 0_u8..3, 1 => any::<u8>()].prop_map(ReplicaIdx)
}

/// Mostly small, so that inputs meet; sometimes any number at all.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0_u64..6, 1 => any::<u64>()]
}

fn epoch() -> impl Strategy<Value = LeaderEpoch> {
    prop_oneof![12 => 0_u32..4, 1 => any::<u32>()].prop_map(LeaderEpoch)
}

fn registered() -> impl Strategy<Value = BrokerEpoch> {
    prop_oneof![9 => 10_u64..13, 1 => number()].prop_map(BrokerEpoch)
}

fn batch() -> impl Strategy<Value = BatchSummary> {
    let producer = prop_oneof![
        3 => Just(None),
        1 => (0_u64..2, 0_u16..2, any::<u32>(), any::<u32>()).prop_map(Some),
        4 => (0_u64..2, 0_u16..2, 0_u32..4, 0_u32..4).prop_map(Some),
    ];
    (number(), prop_oneof![9 => 0_u32..4, 1 => any::<u32>()], epoch(), producer).prop_map(
        |(base, count, leader_epoch, producer)| BatchSummary {
            base_offset: Offset(base),
            leader_epoch,
            producer: producer.map(|(id, producer_epoch, first, last)| BatchProducer {
                id: ProducerId(id),
                producer_epoch: ProducerEpoch(producer_epoch),
                first_sequence: Sequence(first),
                last_sequence: Sequence(last),
            }),
            ..plain(count)
        },
    )
}

fn any_fetch() -> impl Strategy<Value = Message> {
    (epoch(), registered(), number(), number(), number(), proptest::option::of(epoch()), number()).prop_map(
        |(leader_epoch, broker_epoch, request, offset, durable, last_epoch, round)| {
            Message::Fetch(Fetch {
                leader_epoch,
                broker_epoch,
                request_id: RequestId(request),
                fetch_offset: Offset(offset),
                durable_end: Offset(durable.min(offset)),
                last_epoch,
                round: ReadRound(u32::try_from(round).unwrap_or(u32::MAX)),
                ..fetch(R1, 0, 0)
            })
        },
    )
}

fn any_progress() -> impl Strategy<Value = Message> {
    (epoch(), registered(), number(), number()).prop_map(|(leader_epoch, broker_epoch, request, end)| {
        let (request_id, durable_end) = (RequestId(request), Offset(end));
        Message::Progress(Progress { leader_epoch, broker_epoch, request_id, durable_end })
    })
}

fn any_answer() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        (number(), number())
            .prop_map(|(from, end)| FetchBody::Records { from: Offset(from), end: Offset(end) }),
        (epoch(), number())
            .prop_map(|(epoch, end)| FetchBody::Diverging(EpochEnd { epoch, end: Offset(end) })),
        Just(FetchBody::OutOfRange),
    ];
    (epoch(), registered(), number(), 0_u32..2, (number(), number()), body).prop_map(
        |(leader_epoch, broker_epoch, request, generation, (high_watermark, log_start), body)| {
            let (request_id, generation) = (RequestId(request), LogGeneration(generation));
            Message::FetchAnswer(FetchAnswer {
                answered: Answered { request_id, broker_epoch, generation },
                leader_epoch,
                high_watermark: Offset(high_watermark),
                log_start: Offset(log_start),
                round: ReadRound::default(),
                body,
            })
        },
    )
}

fn message() -> impl Strategy<Value = Input> {
    let message = prop_oneof![any_fetch(), any_progress(), any_answer()];
    let batches = proptest::collection::vec(batch(), 0..3);
    (replica(), message, batches).prop_map(|(from, message, batches)| Input::Message {
        from,
        message,
        batches: batches.into(),
    })
}

/// Views whose epochs grow with their offset, as those of a controller do.
fn any_view() -> impl Strategy<Value = Input> {
    (0_u32..12, 0_u8..4, any::<u8>(), any::<bool>(), 1_u8..4, any::<[bool; 3]>()).prop_map(
        |(version, leader, isr, commit, min_isr, eligible)| {
            let mut now = view(version, ReplicaIdx(leader), version / 2, &[]);
            now.leader = now.leader.filter(|leader| leader.0 < 3);
            now.isr = IsrSet(u32::from(isr & 7));
            now.min_isr = min_isr;
            now.flush = if commit { FlushPolicy::Commit } else { FlushPolicy::Os };
            now.replicas.iter_mut().zip(eligible).for_each(|(replica, eligible)| replica.eligible = eligible);
            Input::View(now)
        },
    )
}

fn decision() -> impl Strategy<Value = Input> {
    let outcome = prop_oneof![
        (epoch(), 0_u32..12, any::<u8>(), 1_u8..4).prop_map(|(leader_epoch, version, isr, min_isr)| {
            let (partition_epoch, isr) = (PartitionEpoch(version), IsrSet(u32::from(isr & 7)));
            AlterPartitionOutcome::Applied {
                leader_epoch,
                partition_epoch,
                isr,
                min_isr,
                flush: FlushPolicy::Os,
            }
        }),
        Just(AlterPartitionOutcome::NotApplied),
        Just(AlterPartitionOutcome::Behind(crate::error_code::ErrorCode::FencedLeaderEpoch)),
    ];
    (number(), outcome).prop_map(|(request, outcome)| {
        Input::AlterPartitionAnswered(AlterPartitionAnswer { request_id: RequestId(request), outcome })
    })
}

fn local() -> impl Strategy<Value = Input> {
    let acks = prop_oneof![Just(Acks::None), Just(Acks::Leader), Just(Acks::All)];
    let timer = prop_oneof![
        Just(Timer::FetchRetry),
        Just(Timer::Room),
        Just(Timer::AlterPartitionRetry),
        replica().prop_map(Timer::Lag)
    ];
    prop_oneof![
        4 => (acks, number(), batch()).prop_map(|(acks, request, batch)| produce(acks, request, batch)),
        4 => (number(), 0_u32..2).prop_map(|(end, generation)| {
            Input::Written { end: Offset(end), generation: LogGeneration(generation) }
        }),
        4 => (number(), 0_u32..2).prop_map(|(end, generation)| {
            Input::Flushed { end: Offset(end), generation: LogGeneration(generation) }
        }),
        2 => (number(), 0_u32..2).prop_map(|(end, generation)| {
            Input::WriteFailed { end: Offset(end), generation: LogGeneration(generation) }
        }),
        3 => timer.prop_map(Input::Expired),
        1 => number().prop_map(|request| Input::EndRead { request_id: RequestId(request) }),
        1 => number().prop_map(|request| Input::RequestExpired { request_id: RequestId(request) }),
        1 => number().prop_map(|to| Input::RaiseLogStart { to: Offset(to) }),
        1 => (0_u64..2).prop_map(|producer| Input::ForgetProducer { producer_id: ProducerId(producer) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_input_panics_and_a_refusal_changes_nothing(
        inputs in proptest::collection::vec(prop_oneof![3 => message(), 2 => any_view(), 1 => decision(), 3 => local()], 1..60),
        own in 0_u8..3,
    ) {
        let mut subject = Subject::new(ReplicaIdx(own), None);
        for input in inputs {
            let before = subject.replica.clone();
            let mut effects = Vec::new();
            if subject.replica.step(&subject.tenure, input, &mut effects).is_err() {
                prop_assert_eq!(&subject.replica, &before);
                prop_assert!(effects.is_empty());
            }
        }
    }
}
