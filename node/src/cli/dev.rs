//! `highwater dev`: a small cluster on this machine, to play with.

use std::time::Duration;

use highwater_client::settings::ClientSettings;
use highwater_transport::env::Env;
use tokio::signal::unix::{SignalKind, signal};

use super::args::Dev;
use super::failure::{Failure, exit};
use super::local::{LocalCluster, is_free};
use super::output::Output;

/// Runs the cluster until Ctrl-C.
pub(super) async fn run(args: &Dev, output: &Output) -> Result<u8, Failure> {
    let env = Env::real();
    let mut cluster = if args.dir.join("client.properties").exists() {
        LocalCluster::open(&args.dir)?
    } else {
        create(&env, args)?
    };
    if let Some(taken) = cluster.ports.values().find(|port| !is_free(**port)) {
        let message = format!("UDP port {taken} of 127.0.0.1 is taken");
        return Err(Failure::failed(
            message,
            "is the cluster running already? else name another --port and --dir",
        ));
    }
    let nodes: Vec<_> = cluster.ports.keys().copied().collect();
    for node in &nodes {
        cluster.start(*node)?;
    }
    until_ready(&env, &mut cluster, nodes.len()).await?;
    output.text(format!(
        "{} brokers run on this machine; files in {}",
        nodes.len(),
        cluster.layout.dir.display()
    ))?;
    print_next(output, &cluster, "visits")?;
    output.text("\nCtrl-C stops the cluster; its data stays.")?;
    until_stopped(&env, &mut cluster).await?;
    output.note("stopping");
    cluster.stop(&env, Duration::from_secs(15)).await;
    Ok(exit::DONE)
}

fn create(env: &Env, args: &Dev) -> Result<LocalCluster, Failure> {
    let last = u32::from(args.port) + args.brokers - 1;
    let ports: Vec<u16> = (u32::from(args.port)..=last).filter_map(|port| u16::try_from(port).ok()).collect();
    if ports.len() != args.brokers as usize {
        return Err(Failure::usage(format!("there is no port {last}"), "name a smaller --port"));
    }
    let defaults =
        [("num.partitions", "3".to_owned()), ("default.replication.factor", args.brokers.min(3).to_string())];
    LocalCluster::create(env, &args.dir, ports, &defaults)
}

/// Waits until every broker is admitted.
async fn until_ready(env: &Env, cluster: &mut LocalCluster, count: usize) -> Result<(), Failure> {
    let client = cluster.client(env, ClientSettings::default())?;
    let deadline = env.now() + Duration::from_secs(60);
    while env.now() < deadline {
        if let Some(ended) = cluster.ended() {
            return Err(ended);
        }
        let metadata = client.admin().metadata_once(Some(Vec::new())).await;
        let up = metadata.map(|answer| answer.brokers.iter().filter(|broker| !broker.fenced).count());
        if up == Ok(count) {
            client.close().await;
            return Ok(());
        }
        env.sleep(Duration::from_millis(100)).await;
    }
    let hint = format!("see the logs in {}", cluster.layout.dir.display());
    Err(Failure::new(exit::UNREACHABLE, "the brokers were not ready within 60 s", hint))
}

/// Waits for Ctrl-C or SIGTERM, telling of brokers that end by themselves.
async fn until_stopped(env: &Env, cluster: &mut LocalCluster) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("no signals: {error}"), "");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = env.sleep(Duration::from_secs(1)) => {
                if let Some(ended) = cluster.ended() {
                    return Err(ended);
                }
            }
        }
    }
}

/// Prints the exact lines to type next.
pub(super) fn print_next(output: &Output, cluster: &LocalCluster, topic: &str) -> Result<(), Failure> {
    let program = program();
    output.text("\nNext, in another terminal:\n")?;
    output.text(format!(
        "  export HIGHWATER_COMMAND_CONFIG={}",
        cluster.layout.client_properties().display()
    ))?;
    for rest in [
        "cluster status".to_owned(),
        format!("topic create {topic} --if-not-exists"),
        format!("topic describe {topic}"),
        format!("produce {topic}        # type lines, end with Ctrl-D"),
        format!("consume {topic} --from beginning -n 10"),
        "quorum status".to_owned(),
    ] {
        output.text(format!("  {program} {rest}"))?;
    }
    for node in cluster.ports.keys().take(1) {
        if let Some(process) = cluster.process(*node) {
            output.text(format!(
                "\n  kill -9 {process}    # broker {node}; then look at topic describe again"
            ))?;
        }
    }
    Ok(())
}

/// How the user can run this program again: by its path from here, if it lies below.
fn program() -> String {
    let Ok(program) = std::env::current_exe() else { return "highwater".to_owned() };
    let here = std::env::current_dir().unwrap_or_default();
    program.strip_prefix(&here).unwrap_or(&program).display().to_string()
}
