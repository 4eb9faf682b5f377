//! The kinds of fault by name.

/// What kinds of fault have in common: what it takes to inject them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Processes end.
    Kill,
    /// Processes are held still.
    Pause,
    /// Links are cut.
    Partition,
    /// Datagrams are lost, late, doubled or in another order.
    Packet,
    /// Machines lose power.
    Power,
    /// Brokers stop in order.
    Restart,
}

/// Declares the kinds: variant, group, name, and what it does.
macro_rules! kinds {
    ($($variant:ident, $group:ident, $name:literal, $what:literal;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $what] $variant,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }

            /// What it takes.
            #[must_use]
            pub const fn group(self) -> Group {
                match self { $(Self::$variant => Group::$group,)* }
            }
        }
    };
}

kinds! {
    KillOne, Kill, "kill", "a broker is killed and started again";
    KillLeader, Kill, "kill-leader", "the leader of a partition is killed and started again";
    KillController, Kill, "kill-controller", "the active controller is killed and started again";
    KillMajority, Kill, "kill-majority", "most brokers are killed at once and started again";
    KillAll, Kill, "kill-all", "all brokers are killed at once and started again";
    PauseOne, Pause, "pause", "a broker is held still for a while";
    PauseLeader, Pause, "pause-leader", "the leader of a partition is held still for a while";
    Halves, Partition, "halves", "brokers are parted in two that do not see each other";
    MajorityRing, Partition, "majority-ring", "each broker sees a majority, and each another one; of three, one link is cut";
    OneWay, Partition, "one-way", "a controller or leader sends, or hears, nothing";
    LeaderAlone, Partition, "leader-alone", "a controller or leader sees no other broker, but clients do";
    Bridge, Partition, "bridge", "one broker sees two parts that do not see each other";
    Late, Partition, "late", "what a controller or leader hears from the other brokers, or they from it, is late by up to 3 s";
    Loss, Packet, "loss", "up to 30 % of datagrams between brokers are lost";
    Delay, Packet, "delay", "datagrams between brokers take up to 140 ms longer";
    Duplicates, Packet, "duplicates", "up to 30 % of datagrams between brokers arrive twice";
    Reordering, Packet, "reordering", "up to 30 % of datagrams between brokers are overtaken by later ones";
    PowerLossOfOne, Power, "power-loss", "a machine loses power, and what was not synced with it";
    PowerLossOfAll, Power, "power-loss-all", "all machines lose power at once";
    RollingRestart, Restart, "rolling-restart", "brokers stop in order and start, one after the other";
}

impl Group {
    /// Every group.
    pub const ALL: &'static [Self] =
        &[Self::Kill, Self::Pause, Self::Partition, Self::Packet, Self::Power, Self::Restart];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kills",
            Self::Pause => "pauses",
            Self::Partition => "partitions",
            Self::Packet => "packets",
            Self::Power => "power",
            Self::Restart => "restarts",
        }
    }
}

/// The kinds that a list of names stands for: `all`, `none`, groups and kinds, separated by commas.
///
/// # Errors
/// The name that is none, and those there are.
pub fn parse(text: &str) -> Result<Vec<Kind>, String> {
    let mut kinds = Vec::new();
    for name in text.split(',').map(str::trim) {
        kinds.extend(one(name)?);
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

fn one(name: &str) -> Result<Vec<Kind>, String> {
    match name {
        "all" => return Ok(Kind::ALL.to_vec()),
        "none" => return Ok(Vec::new()),
        _ => {}
    }
    if let Some(kind) = Kind::ALL.iter().find(|kind| kind.name() == name) {
        return Ok(vec![*kind]);
    }
    let of_group = |group: &Group| Kind::ALL.iter().copied().filter(|kind| kind.group() == *group).collect();
    let group = Group::ALL.iter().find(|group| group.name() == name).map(of_group);
    group.ok_or_else(|| {
        let groups = Group::ALL.iter().map(|group| group.name());
        let kinds = Kind::ALL.iter().map(|kind| kind.name());
        let names: Vec<&str> = ["all", "none"].into_iter().chain(groups).chain(kinds).collect();
        format!("{name:?} is no kind of fault: give some of {}, separated by commas", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_kinds_and_groups() {
        assert_eq!(parse("kill,bridge"), Ok(vec![Kind::KillOne, Kind::Bridge]));
        assert_eq!(parse("pauses, kill,kill"), Ok(vec![Kind::KillOne, Kind::PauseOne, Kind::PauseLeader]));
        assert_eq!(parse("all").map(|kinds| kinds.len()), Ok(Kind::ALL.len()));
        assert_eq!(parse("none"), Ok(Vec::new()));
        assert!(parse("kil").is_err_and(|error| error.contains("kill-leader")));
    }
}
