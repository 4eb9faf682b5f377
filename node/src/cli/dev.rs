//! `highwater dev`: a small cluster on this machine, to play with.

use std::process::ExitStatus;
use std::time::Duration;

use highwater_client::settings::ClientSettings;
use highwater_model::id::NodeId;
use highwater_transport::env::Env;

use super::args::Dev;
use super::failure::{Failure, exit};
use super::local::{LocalCluster, is_free};
use super::output::Output;
use super::signals::{Signals, until_interrupted};

/// Runs the cluster until Ctrl-C.
pub(super) async fn run(args: &Dev, output: &Output) -> Result<u8, Failure> {
    let env = Env::real();
    let mut cluster = if args.dir.join("client.properties").exists() {
        let cluster = LocalCluster::open(&args.dir)?;
        agrees(args, &cluster)?;
        cluster
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
    until_interrupted(until_ready(&env, &mut cluster, nodes.len())).await?;
    output.text(format!(
        "{} brokers run on this machine; files in {}",
        nodes.len(),
        cluster.layout.dir.display()
    ))?;
    print_next(output, &cluster, "visits")?;
    output.text("\nCtrl-C stops the cluster; its data stays.")?;
    until_stopped(&env, &mut cluster, output).await?;
    output.note("stopping");
    cluster.stop(&env, Duration::from_secs(15)).await;
    Ok(exit::DONE)
}

/// Refuses what a cluster that is there already cannot become.
fn agrees(args: &Dev, cluster: &LocalCluster) -> Result<(), Failure> {
    let (count, first) = (cluster.ports.len(), cluster.ports.values().next().copied());
    let hint = "leave the flag out, name another --dir, or remove the directory with all its data";
    let refuse = |what: String| Err(Failure::usage(what, hint).on(args.dir.display().to_string()));
    match (args.brokers, args.port) {
        (Some(brokers), _) if brokers as usize != count => {
            refuse(format!("holds a cluster of {count} brokers, not {brokers}"))
        }
        (_, Some(port)) if Some(port) != first => {
            refuse(format!("holds a cluster whose first port is {}, not {port}", first.unwrap_or_default()))
        }
        _ => Ok(()),
    }
}

fn create(env: &Env, args: &Dev) -> Result<LocalCluster, Failure> {
    let (brokers, first) = (args.brokers.unwrap_or(3), u32::from(args.port.unwrap_or(9092)));
    let last = first + brokers - 1;
    let ports: Vec<u16> = (first..=last).filter_map(|port| u16::try_from(port).ok()).collect();
    if ports.len() != brokers as usize {
        return Err(Failure::usage(format!("there is no port {last}"), "name a smaller --port"));
    }
    let defaults =
        [("num.partitions", "3".to_owned()), ("default.replication.factor", brokers.min(3).to_string())];
    LocalCluster::create(env, &args.dir, ports, &defaults)
}

/// Waits until every broker is admitted.
async fn until_ready(env: &Env, cluster: &mut LocalCluster, count: usize) -> Result<u8, Failure> {
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
            return Ok(exit::DONE);
        }
        env.sleep(Duration::from_millis(100)).await;
    }
    let hint = format!("see the logs in {}", cluster.layout.dir.display());
    Err(Failure::new(exit::UNREACHABLE, "the brokers were not ready within 60 s", hint))
}

/// Waits until it is told to stop. A broker that ends is told of; the others go on.
async fn until_stopped(env: &Env, cluster: &mut LocalCluster, output: &Output) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    loop {
        tokio::select! {
            biased;
            () = signals.recv() => return Ok(()),
            () = env.sleep(Duration::from_millis(250)) => {
                while let Some((node, status)) = cluster.take_ended() {
                    print_ended(output, cluster, node, status)?;
                }
                if cluster.running() == 0 {
                    let hint = format!("{} dev starts them again", program());
                    return Err(Failure::failed("every broker has ended", hint));
                }
            }
        }
    }
}

/// Tells that a broker is down, and how to start it again.
fn print_ended(
    output: &Output,
    cluster: &LocalCluster,
    node: NodeId,
    status: ExitStatus,
) -> Result<(), Failure> {
    output.text(format!(
        "\nbroker {node} is down ({status}); its log is {}",
        cluster.layout.log(node).display()
    ))?;
    output.text(format!(
        "to start it again, in another terminal:\n\n  {} server --config {}",
        program(),
        cluster.layout.config(node).display()
    ))
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
            output.text(format!(
                "  {program} server --config {}    # starts it again",
                cluster.layout.config(*node).display()
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
