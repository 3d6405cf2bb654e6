//! Connections to Redis, each shared by all who have something to say at the time.

use deadpool::managed::{self, Metrics, RecycleResult};
use deadpool_redis::redis::{
    Client, Cmd, Pipeline, RedisError, RedisFuture, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};

use crate::{backend::redis::millis, config::RedisAddress, domain::limits};

/// A connection to one node, which it finds again by itself, or to the nodes of a Cluster.
#[derive(Clone)]
pub(super) enum Link {
    Node(ConnectionManager),
    Cluster(Box<ClusterConnection>),
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(node) => node.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(node) => node.req_packed_commands(cmd, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Node(node) => node.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Makes links. Lending one again asks nothing of the server, as deadpool-redis's own managers would: a link that broke
/// mends itself.
pub(super) enum Maker {
    Node(Box<Client>),
    Cluster(Box<ClusterClient>),
}

impl Maker {
    /// For an address; nothing is connected to yet.
    pub(super) fn new(address: &RedisAddress) -> Result<Self, RedisError> {
        Ok(if address.cluster {
            Self::Cluster(Box::new(cluster(address).build()?))
        } else {
            Self::Node(Box::new(Client::open(node(address))?))
        })
    }
}

/// The URL of the one node.
pub(super) fn node(address: &RedisAddress) -> &str {
    address.nodes.first().map_or("", String::as_str)
}

/// How to connect to a Cluster.
pub(super) fn cluster(address: &RedisAddress) -> ClusterClientBuilder {
    ClusterClient::builder(address.nodes.iter().map(String::as_str))
        .connection_timeout(limits::REDIS_ANSWER)
        .response_timeout(limits::REDIS_ANSWER)
        .overall_response_timeout(Some(limits::REDIS_TIME))
        .retries(limits::REDIS_ATTEMPTS)
        .min_retry_wait(millis(limits::REDIS_RETRY_PAUSE))
        .max_retry_wait(millis(limits::REDIS_ANSWER))
}

impl managed::Manager for Maker {
    type Type = Link;
    type Error = RedisError;

    async fn create(&self) -> Result<Link, RedisError> {
        match self {
            Self::Node(client) => {
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(limits::REDIS_ANSWER))
                    .set_response_timeout(Some(limits::REDIS_ANSWER))
                    // Attempts are counted by whoever calls.
                    .set_number_of_retries(1)
                    .set_min_delay(limits::REDIS_RETRY_PAUSE);
                Ok(Link::Node(ConnectionManager::new_lazy_with_config(Client::clone(client), config)?))
            }
            Self::Cluster(client) => Ok(Link::Cluster(Box::new(client.get_async_connection().await?))),
        }
    }

    async fn recycle(&self, _: &mut Link, _: &Metrics) -> RecycleResult<RedisError> {
        Ok(())
    }
}
