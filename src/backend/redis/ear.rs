//! A connection that listens.

use std::sync::Arc;

use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, RedisError,
    aio::MultiplexedConnection, cluster_async::ClusterConnection, cmd,
};
use futures::future::join_all;
use tokio::time::timeout;

use crate::{
    backend::redis::{Away, link},
    config::RedisAddress,
    domain::limits,
};

/// One that subscriptions are made on. What comes goes to the function it was made with, also that it broke; it does not
/// mend itself.
pub(crate) enum Ear {
    /// To one node.
    Node(MultiplexedConnection),
    /// To each node of a Cluster, whose channels are sharded ones.
    Cluster(Box<ClusterConnection>),
}

impl Ear {
    pub(super) async fn open<E>(
        address: &RedisAddress,
        on_push: impl Fn(PushInfo) -> Result<(), E> + Send + Sync + 'static,
    ) -> Result<Self, RedisError>
    where
        E: 'static,
    {
        if address.cluster {
            let client = link::cluster(address).use_protocol(ProtocolVersion::RESP3).push_sender(on_push).build()?;
            return Ok(Self::Cluster(Box::new(client.get_async_connection().await?)));
        }
        let info = link::node(address).into_connection_info()?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits::REDIS_ANSWER))
            .set_response_timeout(Some(limits::REDIS_ANSWER))
            .set_push_sender(on_push);
        let client = Client::open(info.set_redis_settings(settings))?;
        Ok(Self::Node(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    /// Follows channels, or leaves them; says of each whether it came to be.
    pub(crate) async fn set(&mut self, channels: &[String], follows: bool) -> Vec<bool> {
        if channels.is_empty() {
            return Vec::new();
        }
        match self {
            Self::Node(node) => {
                let made = if follows { node.subscribe(channels).await } else { node.unsubscribe(channels).await };
                vec![made.is_ok(); channels.len()]
            }
            // One call takes the channels of one slot only.
            Self::Cluster(cluster) => {
                let each = channels.iter().map(|channel| {
                    let mut cluster = cluster.clone();
                    async move {
                        let made = if follows {
                            timeout(limits::REDIS_TIME, cluster.ssubscribe(channel)).await
                        } else {
                            timeout(limits::REDIS_TIME, cluster.sunsubscribe(channel)).await
                        };
                        made.is_ok_and(|made| made.is_ok())
                    }
                });
                join_all(each).await
            }
        }
    }

    /// Answers when the other side does.
    pub(crate) async fn check(&mut self) -> Result<(), Away> {
        let ping = cmd("PING");
        let answer = async {
            match self {
                Self::Node(node) => ping.query_async::<()>(node).await,
                Self::Cluster(cluster) => ping.query_async::<()>(&mut **cluster).await,
            }
        };
        let answer = timeout(limits::REDIS_TIME, answer).await.map_err(|_| Away::Late)?;
        answer.map_err(|error| Away::Failed(Arc::new(error)))
    }
}
