//! Attacks clusters of Highwater while clients work, and judges from the outside what they were promised.
//!
//! A [`workload`] does things and has the [`recorder`] note what it was told; a [`nemesis`] breaks what a [`cluster`] can
//! have broken, by a schedule drawn from a seed; the checkers of `jepsen-judge`, which know nothing of Highwater, judge the
//! [`store`]d history, and a [`report`] shows it. Workloads and the nemesis run on any [`cluster::Cluster`] unchanged.

pub mod campaign;
pub mod cli;
pub mod cluster;
pub mod evidence;
pub mod nemesis;
pub mod on_processes;
pub mod payload;
pub mod planted;
pub mod random;
pub mod recorder;
pub mod report;
pub mod run;
pub mod simulation;
pub mod store;
pub mod verdicts;
pub mod workload;
