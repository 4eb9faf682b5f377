//! Committed batches, and controllers that do not have them as they are.

use highwater_model::fault::Sound;
use highwater_model::id::BrokerEpoch;
use highwater_model::metadata::{BrokerChanged, BrokerRegistered};

use super::*;

fn registered(node: u32, run: u128) -> Record {
    Record::BrokerRegistered(BrokerRegistered {
        node: NodeId(node),
        incarnation: IncarnationId(run),
        address: "localhost:1".into(),
        directories: [DirectoryId(node.into())].into_iter().collect(),
        vouched_from: None,
    })
}

fn fenced(node: u32, broker_epoch: u64) -> Record {
    Record::BrokerFenced(BrokerChanged { node: NodeId(node), broker_epoch: BrokerEpoch(broker_epoch) })
}

/// What a controller that has `before` makes of the next batch.
fn commit(
    watch: &mut MetadataWatch,
    before: &Image,
    end: u64,
    record: Record,
) -> (Image, Result<bool, Wrong>) {
    let mut after = before.clone();
    let records = [record];
    after.apply(Offset(end), &records);
    let news = watch.commit(before, (Offset(end), &records), &after);
    (after, news.map(|news| news.is_some()))
}

#[test]
fn what_is_committed_first_is_news_and_the_same_to_all() {
    let mut watch = MetadataWatch::default();
    assert!(watch.meet(&Controller::new(Sound, Image::default())).unwrap().is_some());

    let (one, news) = commit(&mut watch, &Image::default(), 1, registered(1, 1));
    assert_eq!(news, Ok(true));
    let (two, news) = commit(&mut watch, &one, 2, registered(2, 1));
    assert_eq!(news, Ok(true));

    assert_eq!(commit(&mut watch, &Image::default(), 1, registered(1, 1)).1, Ok(false));
    let (_, other) = commit(&mut watch, &one, 2, registered(3, 1));
    assert_eq!(other.map_err(|wrong| wrong.rule), Err("metadata/every_image_is_a_prefix_of_the_log"));
    assert_eq!(watch.image(), &two);
}

#[test]
fn what_came_before_the_first_image_is_not_judged_and_what_follows_is() {
    let mut early = MetadataWatch::default();
    let (one, _) = commit(&mut early, &Image::default(), 2, registered(1, 1));
    let mut watch = MetadataWatch::default();
    assert!(watch.meet(&Controller::new(Sound, one.clone())).unwrap().is_some_and(|news| news.is_jump));

    assert_eq!(commit(&mut watch, &Image::default(), 1, registered(7, 1)).1, Ok(false));
    assert_eq!(commit(&mut watch, &one, 3, registered(2, 1)).1, Ok(true));
    let (_, other) = commit(&mut watch, &one, 3, fenced(1, 1));
    assert_eq!(other.map_err(|wrong| wrong.rule), Err("metadata/replay_gives_the_same_image"));
}

#[test]
fn a_registration_that_goes_back_is_found() {
    let mut watch = MetadataWatch::default();
    watch.meet(&Controller::new(Sound, Image::default())).unwrap();
    let (one, _) = commit(&mut watch, &Image::default(), 5, registered(1, 1));
    let mut back = Image::default();
    back.apply(Offset(3), &[registered(1, 2)]);

    let news = watch.commit(&one, (Offset(6), &[]), &back);
    assert_eq!(news.map_err(|wrong| wrong.rule).err(), Some("metadata/node_has_one_registration"));
}

#[test]
fn two_controllers_of_an_epoch_are_found_also_two_runs_of_a_node() {
    let epoch = QuorumEpoch(3);
    let mut watch = MetadataWatch::default();
    watch.hold_office(epoch, (NodeId(1), IncarnationId(1))).unwrap();
    watch.hold_office(epoch, (NodeId(1), IncarnationId(1))).unwrap();
    watch.hold_office(QuorumEpoch(4), (NodeId(2), IncarnationId(1))).unwrap();

    let found = watch.hold_office(epoch, (NodeId(1), IncarnationId(2)));
    assert_eq!(found.map_err(|wrong| wrong.rule), Err("quorum/one_leader_per_epoch"));
}

#[test]
fn an_answer_that_is_not_committed_is_found() {
    use highwater_model::metadata::{Heartbeat, Outcome};
    let mut watch = MetadataWatch::default();
    let (image, _) = commit(&mut watch, &Image::default(), 1, registered(1, 1));
    let command = Command::Heartbeat(Heartbeat {
        node: NodeId(1),
        broker_epoch: BrokerEpoch(0),
        metadata_offset: Offset(1),
        want_fence: false,
        want_shutdown: false,
        offline_directories: Vec::new(),
    });

    let answer = |fenced| Ok(Outcome::Heartbeat { fenced, may_stop: false });
    assert_eq!(watch.answered(&image, &command, &answer(true)), Ok(()));
    let found = watch.answered(&image, &command, &answer(false));
    assert_eq!(found.map_err(|wrong| wrong.rule), Err("metadata/answer_is_committed"));
}
