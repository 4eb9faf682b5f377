//! What a log directory remembers from one process to the next.

use super::*;
use crate::disk::SimDisk;
use highwater_model::id::ClusterId;

#[test]
fn a_start_up_record_is_read_as_it_was_written() {
    for broker_epoch in [None, Some(BrokerEpoch(17))] {
        let is_recovered = broker_epoch.is_some();
        let used_under = Some(BrokerEpoch(17));
        let record = StartUp { boot_id: "a-b".to_owned(), broker_epoch, used_under, is_recovered };
        let text = String::from_utf8(record.to_bytes().to_vec()).expect("the record is text");

        assert_eq!(StartUp::from_text(&text), record);
    }
}

async fn taken(sim: &SimDisk) -> LogDirectory {
    LogDirectory::take(sim.mount(None), NodeId(1)).await.unwrap()
}

async fn formatted() -> SimDisk {
    let sim = SimDisk::new("sim", 7);
    let (cluster, node, directory) = (ClusterId(7), NodeId(1), DirectoryId(1));
    let text = Formatted { cluster, node, directory, voters: Vec::new() }.render().into_bytes();
    sim.mount(None).replace(formatted::FILE_NAME, text.into()).await.unwrap();
    sim
}

#[tokio::test]
async fn a_power_loss_is_remembered_until_the_logs_are_recovered() {
    let sim = formatted().await;
    let directory = taken(&sim).await;
    directory.note_recovered().await.unwrap();
    directory.note_registration(BrokerEpoch(5)).await.unwrap();
    sim.kill();
    assert_eq!(taken(&sim).await.stop, Stop::Killed);

    sim.power_loss(1);
    for _ in 0..2 {
        assert_eq!(taken(&sim).await.stop, Stop::Unknown);
        sim.kill();
    }
    taken(&sim).await.note_recovered().await.unwrap();
    sim.kill();
    let directory = taken(&sim).await;
    assert_eq!((directory.stop, directory.same_boot), (Stop::Killed, None));
}

#[tokio::test]
async fn a_directory_whose_logs_were_not_opened_claims_nothing() {
    let sim = formatted().await;
    taken(&sim).await.note_registration(BrokerEpoch(5)).await.unwrap();
    sim.kill();

    let directory = taken(&sim).await;
    assert_eq!((directory.stop, directory.same_boot), (Stop::Unknown, None));
}

#[test]
fn a_damaged_record_claims_nothing() {
    let damaged = StartUp::from_text("boot.i");

    assert_eq!(
        damaged,
        StartUp { boot_id: String::new(), broker_epoch: None, used_under: None, is_recovered: false }
    );
}
