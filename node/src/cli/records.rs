//! `highwater produce`, `highwater consume` and `highwater log dump`.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_client::consumer::{Consumed, Ends, Start};
use highwater_client::metadata::Image;
use highwater_client::producer::{Delivered, Delivery, Record};
use highwater_client::settings::{Acks, ProducerSettings};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{Offset, PartitionIndex};
use highwater_transport::batch::Batch;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::args::{AcksArg, Consume, From, Log, Produce};
use super::failure::{Failure, exit};
use super::files;
use super::output::{Output, bytes_value};
use super::session::Session;

/// Lines that may be under way at a time.
const OPEN_MAX: usize = 100_000;

/// How long a partition is looked for that a topic does not seem to have.
const GROWING_FOR: Duration = Duration::from_secs(2);

pub(super) async fn produce(args: &Produce, session: &Session) -> Result<u8, Failure> {
    let acks = match args.acks {
        AcksArg::None => Acks::None,
        AcksArg::Leader => Acks::Leader,
        AcksArg::All => Acks::All,
    };
    let mut settings = ProducerSettings { acks, ..session.producer_settings()? };
    let timeout = session.client.settings().api_timeout;
    settings.block_max = settings.block_max.min(timeout);
    settings.delivery_timeout = settings.delivery_timeout.min(timeout);
    known(&args.topic, args.partition.as_slice(), session).await?;
    let producer = session.client.producer(settings);
    let headers = args.headers.iter().map(|header| self::header(header)).collect::<Result<Vec<_>, _>>()?;
    let (report, outcomes) = mpsc::channel(OPEN_MAX);
    let collecting = collect(outcomes, session.output.clone());
    let sending = async {
        let mut lines = lines(args)?;
        while let Some(line) = lines.recv().await {
            let line = line.map_err(|error| Failure::failed(error.to_string(), "").on("input"))?;
            let record = record(args, &headers, line);
            let delivery = producer
                .send(&args.topic, record)
                .await
                .map_err(|error| Failure::from(error).on(&args.topic))?;
            drop(report.send(delivery).await);
        }
        producer.flush().await;
        drop(report);
        Ok::<(), Failure>(())
    };
    let (sent, collected) = tokio::join!(sending, collecting);
    session.client.close().await;
    sent?;
    let (written, failed, last) = collected?;
    // Without an acknowledgement nobody knows what became of them.
    let done = if acks == Acks::None { "sent" } else { "written" };
    session.output.note(format!("{written} records {done} to {}", args.topic));
    match last {
        Some(failure) => {
            let message = format!("{failed} records were not acknowledged; the last: {}", failure.message);
            Err(Failure { message, ..failure }.on(&args.topic))
        }
        None => Ok(exit::DONE),
    }
}

/// What is known of the cluster, with this topic in it. Any broker says at once if there is no such topic, for it asks the
/// controller first; but what it tells of those that there are may be old, so that brokers are asked until one knows it. One
/// of the partitions that is missing then may have been added a moment ago.
async fn known(topic: &str, partitions: &[u32], session: &Session) -> Result<Arc<Image>, Failure> {
    let on_topic = |error| Failure::from(error).on(topic);
    session.client.admin().describe_configs(topic, false).await.map_err(on_topic)?;
    let patience = session.client.settings().api_timeout;
    let image = session.client.image_with(topic, None, patience).await.map_err(on_topic)?;
    let Some(last) = partitions.iter().max() else { return Ok(image) };
    let found =
        session.client.image_with(topic, Some(PartitionIndex(*last)), GROWING_FOR.min(patience)).await;
    match found {
        Ok(image) => Ok(image),
        Err(error) if error.code() != Some(ErrorCode::UnknownTopicOrPartition) => Err(on_topic(error)),
        Err(_) => {
            let image = session.client.image();
            let count = image.topic(topic).map_or(0, |topic| topic.partitions.len());
            let message = format!("has no partition {last}, but {count}");
            let failure = Failure::failed(message, "highwater topic describe shows them").on(topic);
            Err(Failure { code: Some(ErrorCode::UnknownTopicOrPartition), ..failure })
        }
    }
}

/// The lines of the input, read by a thread of their own, because standard input blocks.
fn lines(args: &Produce) -> Result<mpsc::Receiver<std::io::Result<Vec<u8>>>, Failure> {
    let lines = files::lines(args.file.as_deref())?;
    let (sender, receiver) = mpsc::channel(1024);
    #[expect(
        clippy::disallowed_methods,
        reason = "standard input blocks, and is read by the command line alone"
    )]
    std::thread::spawn(move || {
        for line in lines {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

type Header = (Bytes, Option<Bytes>);

fn header(text: &str) -> Result<Header, Failure> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| Failure::usage(format!("{text:?} is not NAME:VALUE"), "write -H source:web"))?;
    Ok((Bytes::from(name.to_owned()), Some(Bytes::from(value.trim_start().to_owned()))))
}

fn record(args: &Produce, headers: &[Header], line: Vec<u8>) -> Record {
    let line = Bytes::from(line);
    let separator = args.key_separator.as_deref().filter(|separator| !separator.is_empty());
    let split = separator.and_then(|separator| {
        let at = line.windows(separator.len()).position(|window| window == separator.as_bytes())?;
        Some((line.slice(..at), line.slice(at + separator.len()..)))
    });
    let (key, value) = match split {
        Some((key, value)) => (Some(key), value),
        None => (args.key.clone().map(Bytes::from), line),
    };
    Record {
        key,
        value: Some(value),
        headers: headers.to_vec(),
        timestamp_ms: None,
        partition: args.partition.map(PartitionIndex),
    }
}

/// Waits for the outcome of every record; how many were written, how many not, and why the last was not.
async fn collect(
    mut outcomes: mpsc::Receiver<Delivery>,
    output: Output,
) -> Result<(u64, u64, Option<Failure>), Failure> {
    let (mut written, mut failed, mut last) = (0u64, 0u64, None);
    while let Some(delivery) = outcomes.recv().await {
        match delivery.await {
            Ok(Delivered { partition, offset, .. }) => {
                written += 1;
                output.item(&json!({"partition": partition, "offset": offset}))?;
            }
            Err(error) => {
                failed += 1;
                let unknown = format!("{:?}", error.outcome());
                let failure = Failure::from(error);
                output.item(&json!({"error": failure.message, "outcome": unknown}))?;
                last = Some(failure);
            }
        }
    }
    Ok((written, failed, last))
}

pub(super) async fn consume(args: &Consume, session: &Session) -> Result<u8, Failure> {
    let image = known(&args.topic, &args.partition, session).await?;
    let Some(topic) = image.topic(&args.topic) else {
        let hint = "highwater topic list shows what there is; highwater topic create makes it";
        let failure = Failure::failed("there is no such topic", hint).on(&args.topic);
        return Err(Failure { code: Some(ErrorCode::UnknownTopicOrPartition), ..failure });
    };
    let all = topic.partitions.iter().map(|detail| detail.partition);
    let wanted =
        |partition: &PartitionIndex| args.partition.is_empty() || args.partition.contains(&partition.0);
    let partitions: Vec<PartitionIndex> = all.filter(wanted).collect();
    let mut consumer = session.client.consumer(session.consumer_settings()?);
    let mut stops = Vec::new();
    for partition in &partitions {
        let ends = session.client.ends(&args.topic, *partition).await?;
        consumer.assign(&args.topic, *partition, start(args.from, ends)).await?;
        stops.push((*partition, args.until.map(|_| ends.end)));
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut silent = false;
    while left > 0 {
        let is_done = |(partition, stop): &(PartitionIndex, Option<Offset>)| {
            stop.is_some_and(|stop| consumer.position(&args.topic, *partition).is_some_and(|at| at >= stop))
        };
        if stops.iter().all(is_done) {
            break;
        }
        let records = consumer.poll(Duration::from_secs(2)).await.map_err(Failure::from)?;
        if records.is_empty() && !std::mem::replace(&mut silent, true) {
            session.output.note(format!("waiting for records of {}", args.topic));
        }
        for record in records {
            let stop = stops.iter().find(|(partition, _)| *partition == record.partition.partition);
            if stop.and_then(|(_, stop)| *stop).is_some_and(|stop| record.offset >= stop) || left == 0 {
                continue;
            }
            print(args, session, &record)?;
            left -= 1;
        }
    }
    session.client.close().await;
    Ok(exit::DONE)
}

fn start(from: From, ends: Ends) -> Start {
    match from {
        From::Beginning => Start::Offset(ends.start),
        From::End => Start::Offset(ends.end),
        From::Offset(offset) => Start::Offset(Offset(offset)),
        From::Back(count) => Start::Offset(Offset(ends.end.0.saturating_sub(count)).max(ends.start)),
    }
}

fn print(args: &Consume, session: &Session, record: &Consumed) -> Result<(), Failure> {
    if !session.output.is_text() {
        return session.output.item(&record_value(&args.topic, record));
    }
    let mut stdout = std::io::stdout().lock();
    let key =
        record.key.as_deref().filter(|_| args.print_key).map(|key| [key, b"\t"].concat()).unwrap_or_default();
    let value = record.value.as_deref().unwrap_or_default();
    match stdout.write_all(&[&key, value, b"\n"].concat()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::new(exit::DONE, "", "")),
        Err(error) => Err(Failure::failed(format!("standard output: {error}"), "")),
    }
}

fn record_value(topic: &str, record: &Consumed) -> Value {
    let header = |(name, value): &Header| json!({"name": bytes_value(Some(name)), "value": bytes_value(value.as_deref())});
    json!({"topic": topic, "partition": record.partition.partition, "offset": record.offset,
           "timestamp_ms": record.timestamp_ms, "key": bytes_value(record.key.as_deref()),
           "value": bytes_value(record.value.as_deref()),
           "headers": record.headers.iter().map(header).collect::<Vec<_>>()})
}

pub(super) fn log(command: &Log, output: &Output) -> Result<u8, Failure> {
    let Log::Dump { file, records } = command;
    let mut bytes = Bytes::from(files::read_bytes(file)?);
    let whole = bytes.len();
    let mut count = 0u64;
    while !bytes.is_empty() {
        let at = whole - bytes.len();
        let damaged = |what: String| {
            let message = format!("damaged at byte {at}, after {count} batches: {what}");
            let hint =
                "a broker cuts a damaged tail when it starts, and fetches from the leader what is missing";
            Failure::new(exit::CHECK_FAILED, message, hint).on(file.display().to_string())
        };
        let batch = Batch::split_first(&mut bytes).map_err(|error| damaged(error.to_string()))?;
        batch.check_crc().map_err(|error| damaged(error.to_string()))?;
        dump_batch(&batch, at, output)?;
        if *records {
            dump_records(&batch, output).map_err(damaged)?;
        }
        count += 1;
    }
    output.note(format!("{count} batches, {whole} bytes, all sound"));
    Ok(exit::DONE)
}

fn dump_batch(batch: &Batch, at: usize, output: &Output) -> Result<(), Failure> {
    let header = batch.header();
    let producer = header.producer.map(|producer| {
        json!({"id": producer.id, "epoch": producer.epoch, "base_sequence": producer.base_sequence})
    });
    let told = header.producer.map_or(String::new(), |producer| {
        let sequence = producer.base_sequence.map_or_else(|| "-".to_owned(), |sequence| sequence.to_string());
        format!("  producer {} epoch {} sequence {sequence}", producer.id, producer.epoch)
    });
    let epoch = header.leader_epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string());
    let control = if header.attributes.is_control() { "  control" } else { "" };
    output.text(format!(
        "byte {at}  offsets {}..{}  records {}  leader epoch {epoch}  bytes {}{told}{control}",
        header.base_offset,
        header.end_offset(),
        header.records_count,
        batch.len_bytes(),
    ))?;
    output.item(&json!({"byte": at, "base_offset": header.base_offset, "end_offset": header.end_offset(),
        "records": header.records_count, "leader_epoch": header.leader_epoch, "size_bytes": batch.len_bytes(),
        "crc": header.crc, "max_timestamp_ms": header.max_timestamp_ms, "producer": producer,
        "control": header.attributes.is_control()}))
}

fn dump_records(batch: &Batch, output: &Output) -> Result<(), String> {
    for record in batch.records().map_err(|error| error.to_string())? {
        let record = record.map_err(|error| error.to_string())?;
        let text = |bytes: Option<&Bytes>| {
            bytes.map_or_else(
                || "-".to_owned(),
                |bytes| String::from_utf8_lossy(bytes).escape_debug().to_string(),
            )
        };
        let line =
            format!("  {}  {}  {}", record.offset, text(record.key.as_ref()), text(record.value.as_ref()));
        output.text(line).map_err(|failure| failure.message)?;
        let value = json!({"offset": record.offset, "timestamp_ms": record.timestamp_ms,
            "key": bytes_value(record.key.as_deref()), "value": bytes_value(record.value.as_deref())});
        output.item(&value).map_err(|failure| failure.message)?;
    }
    Ok(())
}
