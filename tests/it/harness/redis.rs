//! A Redis and a Redis Cluster of our own.

use std::{
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::keeper::{Keeper, free_port};

/// One node.
pub(crate) struct Redis {
    keeper: Keeper,
}

static SHARED: OnceLock<Redis> = OnceLock::new();
static SHARED_CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// The node that tests share which do it no harm.
pub(crate) fn shared() -> &'static Redis {
    SHARED.get_or_init(|| Redis::start(&[]))
}

/// The Cluster that tests share which do it no harm.
pub(crate) fn shared_cluster() -> &'static Cluster {
    SHARED_CLUSTER.get_or_init(Cluster::start)
}

impl Redis {
    /// Starts one with these arguments on top of those of tests.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let server = Self::begin(arguments);
        server.keeper.wait(|| server.answers());
        server
    }

    fn begin(arguments: &[&str]) -> Self {
        let port = free_port();
        let keeper = Keeper::start("redis", port, |folder| {
            let (port, folder) = (port.to_string(), folder.display().to_string());
            let own = ["redis-server", "--port", &port, "--bind", "127.0.0.1", "--dir", &folder, "--save", ""];
            own.into_iter().chain(["--appendonly", "no"]).chain(arguments.iter().copied()).map(str::to_owned).collect()
        });
        Self { keeper }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.keeper.port())
    }

    /// What redis-cli prints for a command.
    pub(crate) fn cli(&self, command: &[&str]) -> String {
        let output = self.command(command).output().expect("no redis-cli on this machine: run 'make setup'");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.keeper.port().to_string()]).args(arguments).stdin(Stdio::null());
        command
    }

    fn answers(&self) -> bool {
        self.command(&["PING"]).output().is_ok_and(|output| output.stdout == b"PONG\n")
    }

    /// Ends it at once; what it held is gone.
    pub(crate) fn kill(&self) {
        self.keeper.kill();
    }

    /// Starts it again, empty.
    pub(crate) fn come_back(&self) {
        self.keeper.come_back(|| self.answers());
    }

    /// Stops it where it is.
    pub(crate) fn pause(&self) {
        self.keeper.pause();
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.keeper.resume();
    }
}

/// Three masters with a replica each.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts one, and waits until all of it works.
    pub(crate) fn start() -> Self {
        let nodes: Vec<Redis> = (0..6)
            .map(|_| {
                let bus = free_port().to_string();
                let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &bus];
                Redis::start(&own)
            })
            .collect();
        let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.keeper.port())).collect();
        let mut create: Vec<&str> = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        nodes[0].cli(&create);
        for node in &nodes {
            node.keeper.wait(|| {
                let info = node.cli(&["CLUSTER", "INFO"]);
                let is_linked = || {
                    let role = node.cli(&["INFO", "replication"]);
                    role.contains("role:master") || role.contains("master_link_status:up")
                };
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6") && is_linked()
            });
        }
        Self { nodes }
    }

    /// Its URL, by three of its nodes.
    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes[..3].iter().map(|node| format!("127.0.0.1:{}", node.keeper.port())).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// The master that keeps a key.
    pub(crate) fn master_of(&self, key: &str) -> &Redis {
        let slot: u32 = self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key]).parse().unwrap();
        let shards = self.nodes[0].cli(&["CLUSTER", "NODES"]);
        let owner = shards.lines().filter(|line| line.contains("master") && !line.contains("fail")).find(|line| {
            line.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
            })
        });
        let address = owner.and_then(|line| line.split(' ').nth(1)).and_then(|address| address.split('@').next());
        let port = address.and_then(|address| address.rsplit(':').next()).expect("the slot has a master");
        self.nodes.iter().find(|node| node.keeper.port().to_string() == port).expect("it is one of ours")
    }
}
