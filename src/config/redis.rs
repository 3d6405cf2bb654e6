//! Where Redis is.

use std::fmt;

/// One node or a Cluster, from a URL: `redis://host:port`, `redis-cluster://host:port,host:port`; with TLS `rediss://` and
/// `rediss-cluster://`; with `user:password@` in front of the hosts; one node with `/` and the number of a database behind.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// The URL of each node; of a Cluster one that is known suffices.
    pub nodes: Vec<String>,
    /// Whether they are nodes of a Cluster.
    pub cluster: bool,
    /// As people may see it: without credentials.
    shown: String,
}

impl RedisAddress {
    /// Understands a URL; none when it is none of these.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (node_scheme, cluster) = match scheme {
            "redis" | "rediss" => (scheme, false),
            "redis-cluster" => ("redis", true),
            "rediss-cluster" => ("rediss", true),
            _ => return None,
        };
        let (credentials, hosts) =
            rest.rsplit_once('@').map_or(("", rest), |(_, hosts)| rest.split_at(rest.len() - hosts.len()));
        let hosts: Vec<&str> = if cluster { hosts.split(',').collect() } else { vec![hosts] };
        let has_host = |host: &&str| !host.is_empty() && !host.starts_with([':', '/']) && !host.contains([' ', ',']);
        if !hosts.iter().all(has_host) || (cluster && hosts.iter().any(|host| host.contains('/'))) {
            return None;
        }
        let nodes = hosts.iter().map(|host| format!("{node_scheme}://{credentials}{host}")).collect();
        Some(Self { nodes, cluster, shown: format!("{scheme}://{}", hosts.join(",")) })
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_or_a_cluster_is_understood() {
        for (url, nodes, cluster) in [
            ("redis://localhost", vec!["redis://localhost"], false),
            ("rediss://:p%40ss@cache:6380/2", vec!["rediss://:p%40ss@cache:6380/2"], false),
            ("redis-cluster://a:7000,b", vec!["redis://a:7000", "redis://b"], true),
            ("rediss-cluster://u:p@a:1,b:2", vec!["rediss://u:p@a:1", "rediss://u:p@b:2"], true),
        ] {
            let address = RedisAddress::parse(url).unwrap();
            assert_eq!(
                (address.nodes, address.cluster),
                (nodes.iter().map(|node| (*node).to_owned()).collect(), cluster)
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "localhost:6379",
            "redis://",
            "redis://:6379",
            "redis://a,b",
            "redis-cluster://a,,b",
            "http://a",
            "redis-cluster://a/1",
        ] {
            assert_eq!(RedisAddress::parse(url), None, "{url}");
        }
    }

    #[test]
    fn nobody_sees_its_password() {
        for url in ["redis://u:secret@a", "redis-cluster://:secret@a,b"] {
            let address = RedisAddress::parse(url).unwrap();
            assert!(!format!("{address} {address:?}").contains("secret"));
        }
    }
}
