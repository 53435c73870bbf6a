//! Keeps the first connection to an upstream: connects, publishes what the upstream offers, follows changes, and connects again.

use super::connection::Connection;
use super::domain::Profile;
use super::entries::{ALL, Lists};
use super::hearing::Hearing;
use super::upstream::{State, Upstream};
use crate::backend::{Kind, Publisher};
use crate::client::{Client, Error, Notice};
use core::time::Duration;
use std::sync::Arc;
use tokio::time::{Instant, sleep, sleep_until};

/// Keeps the connection until the task is aborted.
pub(super) async fn supervise(upstream: Arc<Upstream>, publisher: Publisher, keeps_entries: bool) {
    let times = upstream.target.times.clone();
    let mut supervisor =
        Supervisor { upstream, publisher, keeps_entries, is_published: false, lists: Lists::default() };
    let mut wait = Duration::ZERO;
    loop {
        let reason = match supervisor.connected(wait).await {
            Ok(connection) => {
                let begun = Instant::now();
                let reason = supervisor.serve(&connection).await;
                if begun.elapsed() >= times.sustained {
                    wait = Duration::ZERO;
                }
                reason
            }
            Err(error) => error,
        };
        supervisor.down(reason);
        wait = wait.saturating_mul(2).min(times.back_off_most).max(times.back_off_first);
    }
}

struct Supervisor {
    upstream: Arc<Upstream>,
    publisher: Publisher,
    keeps_entries: bool,
    /// Whether entries are in the lists.
    is_published: bool,
    lists: Lists,
}

impl Supervisor {
    /// Connects after `wait`. Meanwhile the entries of a dead upstream leave the lists.
    async fn connected(&mut self, wait: Duration) -> Result<Arc<Connection>, Error> {
        let upstream = Arc::clone(&self.upstream);
        let connect = async {
            sleep(wait).await;
            upstream.connect(&Profile::full()).await.map(Arc::new)
        };
        tokio::pin!(connect);
        let restart = upstream.target.times.restart;
        let gone = match &*self.upstream.state.borrow() {
            State::Down { since, .. } => *since + restart,
            State::Up(_) => Instant::now() + restart,
        };
        tokio::select! {
            connected = &mut connect => return connected,
            () = sleep_until(gone), if self.is_published && !self.keeps_entries => {}
        }
        tracing::warn!(backend = self.upstream.name, "the entries of a backend that is down leave the lists");
        self.is_published = false;
        self.publisher.publish([]);
        connect.await
    }

    /// Follows what the upstream tells until the connection ends, and returns why it did.
    async fn serve(&mut self, connection: &Arc<Connection>) -> Error {
        match self.follow(connection).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn follow(&mut self, connection: &Arc<Connection>) -> Result<core::convert::Infallible, Error> {
        let (client, upstream) = (&connection.client, Arc::clone(&self.upstream));
        self.refresh(client, ALL).await?;
        // MCP 2026-07-28 basic/patterns/subscriptions: notices may have been lost, so what is watched may have changed.
        self.all_updated();
        tracing::info!(backend = upstream.name, revision = client.version().as_str(), "a backend is connected");
        upstream.state.send_replace(State::Up(Arc::clone(connection)));
        // A server may leave a subscription without an answer, so the lists do not wait for it. What has changed since they were
        // fetched is fetched now.
        let mut hearing = Hearing::open(client, &upstream.watched()).await;
        self.refresh(client, ALL).await?;
        loop {
            tokio::select! {
                error = client.ended() => return Err(error),
                notice = hearing.next() => self.heard(client, notice?).await?,
                () = upstream.watching.notified() => hearing.follow(client, &upstream.watched()).await,
                () = upstream.suspicion.notified() => {
                    alive(client).await?;
                    upstream.state.send_replace(State::Up(Arc::clone(connection)));
                }
                () = sleep(upstream.target.times.check_every) => {
                    upstream.sessions.sweep();
                    // A server that is busy with a call may be late with other answers; the call has a time limit of its own.
                    // This task, the state and nothing else hold the connection while no call runs.
                    if Arc::strong_count(connection) <= 2 {
                        alive(client).await?;
                    }
                }
            }
        }
    }

    async fn heard(&mut self, client: &Client, notice: Notice) -> Result<(), Error> {
        match notice {
            Notice::ToolsChanged => self.refresh(client, &[Kind::Tool]).await,
            Notice::PromptsChanged => self.refresh(client, &[Kind::Prompt]).await,
            Notice::ResourcesChanged => self.refresh(client, &[Kind::Resource, Kind::Template]).await,
            Notice::ResourceUpdated(uri) => {
                self.publisher.resource_updated(uri);
                Ok(())
            }
            Notice::Reconnected => {
                self.refresh(client, ALL).await?;
                self.all_updated();
                Ok(())
            }
            // A log message that belongs to no call would reach a stranger.
            _ => Ok(()),
        }
    }

    async fn refresh(&mut self, client: &Client, kinds: &[Kind]) -> Result<(), Error> {
        self.lists.fetch(client, kinds).await?;
        self.is_published = true;
        for taken in self.publisher.publish(self.lists.entries()) {
            tracing::warn!(backend = self.upstream.name, %taken, "an entry of a backend is hidden: set a prefix");
        }
        Ok(())
    }

    fn all_updated(&self) {
        self.upstream.watched().into_iter().for_each(|uri| self.publisher.resource_updated(uri));
    }

    fn down(&self, reason: Error) {
        tracing::warn!(backend = self.upstream.name, %reason, "a backend is down");
        self.upstream.state.send_modify(|state| {
            let since = match state {
                State::Down { since, .. } => *since,
                State::Up(_) => Instant::now(),
            };
            *state = State::Down { since, reason: Some(reason) };
        });
    }
}

/// Checks that the upstream answers, with whatever.
async fn alive(client: &Client) -> Result<(), Error> {
    match client.check().await {
        Ok(()) | Err(Error::Rpc(_) | Error::Invalid(_) | Error::TooLarge(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
