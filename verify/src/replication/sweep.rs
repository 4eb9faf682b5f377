//! Which bounds are swept.

use super::bounds::Bounds;
use crate::bounds::at;
use crate::registry::WALK;

/// The sweep of a profile, smallest first. Each takes in the one before it, and so all that it puts to the test.
pub(super) fn profile(profile: &str) -> Vec<Bounds> {
    let parts: &[&[&str]] = match profile {
        "small" => &[SMALL],
        "quick" => &[QUICK],
        "standard" => &[QUICK, STANDARD],
        "deep" => &[QUICK, STANDARD, DEEP],
        WALK => &[WALKS],
        _ => &[],
    };
    parts.iter().copied().flatten().map(|line| at(line)).collect()
}

/// What every change is checked against, within a minute and a quarter or so on two cores. Every two kinds of fault are in one of
/// them together: a hole that wants an election and deleted records showed at no bound that had but one of these.
const QUICK: &[&str] = &[
    "brokers=1 kills=2",
    "brokers=1 power-losses=1 flush=os",
    "brokers=1 records=2 kills=1 power-losses=1",
    "brokers=2 elections=1 retries=1 flush=os",
    "brokers=2 isr=1 min-isr=1 deletes=1 writes=at-once",
    "brokers=2 isr=1 min-isr=1 configs=1 flush=os writes=at-once",
    "brokers=2 elections=1 deposed=1 timeouts=1 flush=os in-flight=1 writes=at-once",
    "brokers=2 power-losses=1 flush=os reduce=views+parked",
    "brokers=2 elections=1 kills=1 flush=os reduce=views+parked",
    "brokers=2 elections=1 shrinks=1 timeouts=1 flush=os writes=at-once reduce=views+parked",
    "brokers=2 elections=1 shrinks=2 min-isr=1 flush=os writes=at-once in-flight=1 reduce=views+parked",
    "brokers=2 elections=1 shrinks=1 timeouts=1 flush=os",
    "brokers=2 elections=1 shutdowns=1",
    "brokers=2 elections=1 shutdowns=1 restores=1 flush=os in-flight=1 writes=at-once",
    "brokers=2 records=2 elections=1 shutdowns=1 deletes=1 restores=1 flush=os in-flight=1 writes=at-once heartbeats=in-turn",
    "brokers=2 power-losses=1 shutdowns=1 restores=1 timeouts=1 min-isr=1 flush=os in-flight=1 writes=at-once",
    "brokers=2 kills=1 shutdowns=1 restores=1 full-disks=1 flush=os in-flight=1",
    "brokers=2 elections=1 shutdowns=1 restores=1 deposed=1 flush=os in-flight=1 writes=at-once",
    "brokers=2 elections=1 shutdowns=1 restores=1 shrinks=1 retries=1 flush=os in-flight=1 writes=at-once",
    "brokers=2 elections=1 kills=1",
    "brokers=2 power-losses=1 shrinks=1",
    "brokers=2 power-losses=1 shrinks=1 flush=os",
    "brokers=2 kills=2 flush=os",
    "brokers=2 records=2 elections=1 full-disks=1 min-isr=1 flush=os",
    "brokers=2 elections=1 full-disks=1 retries=1",
    "brokers=2 records=2 elections=1 deletes=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=2 records=2 elections=1 deletes=1 configs=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=2 elections=2 deletes=1 retries=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=2 elections=1 shutdowns=1 shrinks=1 min-isr=1 flush=os writes=at-once in-flight=1",
    "brokers=2 shrinks=1 configs=1 deposed=1 retries=1 min-isr=1 flush=os writes=at-once in-flight=1",
    "brokers=2 records=2 shrinks=1 full-disks=1 deletes=1 min-isr=1 in-flight=1",
    "brokers=2 records=2 kills=1 full-disks=1 deletes=1 min-isr=1 in-flight=1",
    "brokers=2 kills=1 full-disks=1 power-losses=1 min-isr=1 flush=os in-flight=1",
    "brokers=2 kills=1 retries=1 deposed=1 configs=1 min-isr=1 flush=os writes=at-once in-flight=1",
    "brokers=2 kills=1 retries=1 power-losses=1 timeouts=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=2 shutdowns=1 kills=1 min-isr=1 flush=os writes=at-once in-flight=1",
    "brokers=2 shutdowns=1 configs=1 min-isr=1 flush=os writes=at-once in-flight=1",
    "brokers=2 shutdowns=1 full-disks=1 deposed=1 timeouts=1 min-isr=1 flush=os in-flight=1",
    "brokers=2 shutdowns=1 power-losses=1 shrinks=1 min-isr=1 flush=os writes=at-once in-flight=1",
    "brokers=2 records=2 shutdowns=1 deletes=1 timeouts=1 retries=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=2 records=2 power-losses=1 deletes=1 deposed=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=2 power-losses=1 configs=1 timeouts=1 min-isr=1 flush=os writes=at-once in-flight=1",
    "brokers=2 full-disks=1 configs=1 retries=1 timeouts=1 min-isr=1 flush=os in-flight=1",
    "brokers=3 elections=1",
    "brokers=3 power-losses=1 writes=at-once known-views-wait=false",
    "brokers=3 shrinks=1 power-losses=1 writes=at-once known-views-wait=false",
    "brokers=3 records=2 power-losses=1 writes=at-once known-views-wait=false",
    "brokers=3 elections=1 flush=os",
    "brokers=3 kills=1",
    "brokers=3 kills=1 flush=os",
    "brokers=2 elections=1 kills=1 power-losses=1 flush=os writes=at-once",
    "brokers=3 elections=1 shrinks=1 flush=os writes=at-once",
    "brokers=3 shrinks=1 kills=1 flush=os writes=at-once",
    "brokers=3 shrinks=1 kills=1 writes=at-once",
    "brokers=3 elections=1 shrinks=1 writes=at-once",
    "brokers=3 elections=1 kills=1 writes=at-once",
    "brokers=2 records=2 elections=1 kills=1 power-losses=1 flush=os writes=at-once",
    "brokers=2 records=2 elections=1 kills=1 power-losses=1 writes=at-once",
    "brokers=3 elections=1 shrinks=1 kills=1 flush=os writes=at-once known-views-wait=false",
    "brokers=3 elections=1 shrinks=1 kills=1 writes=at-once known-views-wait=false",
];

/// What a mechanical mutation is judged by (`verify/mutation`): some five seconds on one thread.
const SMALL: &[&str] = &[
    "brokers=1 kills=2",
    "brokers=1 records=2 kills=1 power-losses=1",
    "brokers=2 elections=1 retries=1 flush=os",
    "brokers=2 isr=1 min-isr=1 deletes=1 writes=at-once",
    "brokers=2 isr=1 min-isr=1 configs=1 flush=os writes=at-once",
    "brokers=2 elections=1 deposed=1 timeouts=1 flush=os in-flight=1 writes=at-once",
    "brokers=2 power-losses=1 flush=os reduce=views+parked",
    "brokers=2 elections=1 kills=1 flush=os reduce=views+parked",
    "brokers=2 elections=1 shrinks=1 timeouts=1 flush=os writes=at-once reduce=views+parked",
    "brokers=2 elections=1 shrinks=2 min-isr=1 flush=os writes=at-once in-flight=1 reduce=views+parked",
    "brokers=2 elections=1 shutdowns=1",
    "brokers=2 elections=1 shutdowns=1 restores=1 flush=os in-flight=1 writes=at-once",
    "brokers=2 elections=1 kills=1",
    "brokers=2 power-losses=1 shrinks=1",
    "brokers=2 kills=2 flush=os",
    "brokers=2 records=2 elections=1 full-disks=1 min-isr=1 flush=os",
    "brokers=2 elections=1 full-disks=1 retries=1",
    "brokers=3 elections=1",
    "brokers=3 elections=1 flush=os",
    "brokers=3 kills=1",
    "brokers=3 elections=1 shrinks=1 flush=os writes=at-once",
    "brokers=3 shrinks=1 kills=1 flush=os writes=at-once",
    "brokers=2 records=2 elections=1 kills=1 flush=os writes=at-once",
    "brokers=3 elections=1 kills=1 flush=os writes=at-once",
    "brokers=2 elections=1 power-losses=1 writes=at-once",
];

/// What takes a quarter of an hour more, and 14 GB for the last.
const STANDARD: &[&str] = &[
    "brokers=2 power-losses=1 shutdowns=1 restores=1 configs=1 min-isr=1 heartbeats=in-turn flush=os in-flight=1 \
     writes=at-once",
    "brokers=3 elections=1 power-losses=1 flush=os writes=at-once known-views-wait=false",
    "brokers=3 shrinks=1 power-losses=1 flush=os writes=at-once known-views-wait=false",
    "brokers=3 kills=1 power-losses=1 flush=os writes=at-once known-views-wait=false",
    "brokers=3 kills=1 power-losses=1 writes=at-once known-views-wait=false",
    "brokers=3 elections=1 power-losses=1 writes=at-once known-views-wait=false",
    "brokers=3 elections=1 shrinks=1 kills=1 flush=os writes=at-once",
    "brokers=3 records=2 elections=1 kills=1 flush=os writes=at-once",
    "brokers=2 records=2 elections=1 kills=1 power-losses=1 flush=os",
    "brokers=3 records=2 kills=1 power-losses=1 syncs=in-turn writes=at-once known-views-wait=false \
     heartbeats=in-turn",
    "brokers=3 shrinks=1 kills=1 power-losses=1 flush=os writes=at-once known-views-wait=false \
     heartbeats=in-turn",
    "brokers=3 shrinks=1 kills=1 power-losses=1 syncs=in-turn writes=at-once known-views-wait=false \
     heartbeats=in-turn",
    "brokers=3 kills=2 power-losses=1 syncs=in-turn writes=at-once known-views-wait=false heartbeats=in-turn",
    "brokers=3 isr=2 elections=1 shrinks=1 power-losses=1 flush=os writes=at-once known-views-wait=false",
    "brokers=3 isr=2 elections=1 shrinks=1 power-losses=1 syncs=in-turn writes=at-once \
     known-views-wait=false heartbeats=in-turn",
    "brokers=3 elections=1 kills=1 power-losses=1 syncs=in-turn writes=at-once known-views-wait=false \
     heartbeats=in-turn",
    "brokers=3 elections=1 kills=1 power-losses=1 flush=os writes=at-once known-views-wait=false \
     heartbeats=in-turn",
    "brokers=3 records=2 elections=1 shrinks=1 kills=1 flush=os writes=at-once known-views-wait=false \
     heartbeats=in-turn",
    "brokers=3 records=2 elections=1 shrinks=1 kills=1 syncs=in-turn writes=at-once \
     known-views-wait=false heartbeats=in-turn",
    "brokers=3 records=2 kills=2 power-losses=1 flush=os writes=at-once known-views-wait=false \
     heartbeats=in-turn",
];

/// What takes hours.
const DEEP: &[&str] = &[
    "brokers=2 elections=2 shutdowns=1 deletes=1 retries=1 min-isr=1 flush=os writes=at-once in-flight=1",
    "brokers=2 records=2 elections=2 deletes=1 retries=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=2 elections=2 kills=1 deletes=1 retries=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=3 isr=2 elections=2 deletes=1 retries=1 min-isr=1 writes=at-once in-flight=1",
    "brokers=3 elections=1 shrinks=1 kills=1 writes=at-once",
    "brokers=2 records=2 elections=1 kills=1 power-losses=1",
    "brokers=3 elections=1 shrinks=1 kills=1 flush=os",
    "brokers=3 elections=1 kills=1 power-losses=1 flush=os writes=at-once known-views-wait=false",
    "brokers=3 shrinks=1 kills=1 power-losses=1 flush=os writes=at-once known-views-wait=false",
    "brokers=3 records=2 elections=1 shrinks=1 kills=1 flush=os writes=at-once known-views-wait=false",
    "brokers=3 elections=1 kills=1 power-losses=1 writes=at-once known-views-wait=false",
    "brokers=3 isr=2 elections=1 shrinks=1 power-losses=1 writes=at-once known-views-wait=false",
    "brokers=3 records=2 kills=2 power-losses=1 syncs=in-turn writes=at-once known-views-wait=false \
     heartbeats=in-turn",
    "brokers=3 elections=1 shrinks=1 kills=1 power-losses=1 flush=os writes=at-once \
     known-views-wait=false heartbeats=in-turn",
    "brokers=3 elections=1 shrinks=1 kills=1 power-losses=1 syncs=in-turn writes=at-once \
     known-views-wait=false heartbeats=in-turn",
    "brokers=3 records=2 elections=1 shrinks=1 kills=1 writes=at-once known-views-wait=false",
    "brokers=3 elections=1 shrinks=1 kills=1",
];

/// What only random walks get through: nothing is left out, and every kind of fault comes several times. Under `flush=os` one
/// power loss fewer than `min-isr` is what the policy promises to survive. Small bounds come first: what takes a few steps in one
/// particular order is met there far more often.
const WALKS: &[&str] = &[
    "brokers=1 records=8 kills=3 power-losses=3 timeouts=2 retries=3 reduce=views+parked",
    "brokers=3 power-losses=1 flush=os reduce=views+parked",
    "brokers=2 records=2 elections=1 kills=1 flush=os in-flight=3 reduce=views+parked",
    "brokers=3 records=3 elections=2 shrinks=1 kills=1 power-losses=1 in-flight=3 flush=os reduce=views+parked",
    "brokers=3 records=4 elections=2 shrinks=1 kills=1 deletes=2 configs=2 deposed=2 in-flight=3 reduce=views+parked",
    "brokers=3 records=8 elections=4 shrinks=4 kills=3 power-losses=3 timeouts=3 retries=3 in-flight=3 reduce=views+parked",
    "brokers=3 records=8 elections=4 shrinks=4 kills=3 power-losses=1 timeouts=3 in-flight=3 flush=os reduce=views+parked",
    "brokers=3 records=4 elections=3 shrinks=1 shutdowns=2 restores=1 kills=1 deletes=2 in-flight=3 flush=os reduce=views+parked",
    "brokers=5 records=40 elections=12 shrinks=12 kills=8 power-losses=6 full-disks=3 shutdowns=3 timeouts=6 \
     retries=8 in-flight=4 min-isr=3 reduce=views+parked",
    "brokers=5 records=40 elections=12 shrinks=12 kills=8 power-losses=2 full-disks=3 shutdowns=3 timeouts=6 \
     retries=8 in-flight=4 min-isr=3 flush=os reduce=views+parked",
    "brokers=5 records=20 elections=8 shrinks=8 kills=6 power-losses=2 timeouts=6 in-flight=4 isr=3 min-isr=2 \
     acks=one reduce=views+parked",
];
