//! What a log does as long as nothing goes wrong.

use super::*;

#[tokio::test]
async fn what_is_appended_is_read_back_across_segments_and_a_restart() {
    let (_directory, disk) = real();
    let (mut log, recovered) = open(&disk, Hints::default()).await;
    assert_eq!((recovered.start, recovered.end), (Offset(0), Offset(0)));
    let batches: Vec<Batch> = (0..40).map(|at| batch(at * 3, 1, 3, 60)).collect();
    for batch in &batches {
        log.append(std::slice::from_ref(batch)).await.unwrap();
    }

    assert_eq!(log.sync().await.unwrap(), Flushed { end: Offset(120) });
    assert!(log.segments_count() > 3);
    assert_eq!(contents(&log).await, batches);
    let headers: Vec<_> = batches.iter().map(|batch| *batch.header()).collect();
    assert_eq!(log.headers(Offset(0), Offset(120)).await.unwrap(), headers);
    assert_eq!(log.headers(Offset(4), Offset(7)).await.unwrap(), headers[1..3]);
    let (again, recovered) = open(&disk, Hints::default()).await;
    assert_eq!(recovered.batches, headers);
    assert_eq!(recovered.cut, None);
    assert_eq!(contents(&again).await, batches);
}
