//! Keeps the first connection to an upstream: connects, publishes what the upstream offers, follows changes, and connects again.

use super::connection::Connection;
use super::domain::Profile;
use super::entries::{ALL, Lists};
use super::hearing::Hearing;
use super::limits::SESSION_IDLE;
use super::upstream::{State, Upstream};
use crate::backend::{Kind, Publisher};
use crate::client::{Client, Error, Notice};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::{Instant, sleep, sleep_until};

/// Keeps the connection until the task is aborted.
pub(super) async fn supervise(upstream: Arc<Upstream>, publisher: Publisher, keeps_entries: bool) {
    let times = upstream.target.times.clone();
    let mut supervisor =
        Supervisor { upstream, publisher, keeps_entries, is_published: false, lists: Lists::default() };
    let mut wait = Duration::ZERO;
    let mut has_failed = false;
    loop {
        let reason = match supervisor.connected(wait).await {
            Ok(connection) => {
                if core::mem::take(&mut has_failed) {
                    supervisor.upstream.restarts.fetch_add(1, Ordering::Relaxed);
                }
                let begun = Instant::now();
                let reason = supervisor.follow(&connection).await;
                has_failed = reason.is_err();
                if begun.elapsed() >= times.sustained {
                    wait = Duration::ZERO;
                }
                match reason {
                    Ok(Idle) => {
                        supervisor.stopped(connection).await;
                        wait = Duration::ZERO;
                        continue;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        supervisor.down(reason);
        wait = wait.saturating_mul(2).min(times.back_off_most).max(times.back_off_first);
    }
}

/// The end of a connection to a child that no call has used for a while.
struct Idle;

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
            upstream.target.connect(&Profile::full()).await.map(|client| Arc::new(Connection::new(client)))
        };
        tokio::pin!(connect);
        let restart = upstream.target.times.restart;
        let gone = match &*self.upstream.state.borrow() {
            State::Down { since, .. } => *since + restart,
            State::Up(_) | State::Idle => Instant::now() + restart,
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

    /// Stops an idle child, and waits until a call wants it again.
    async fn stopped(&self, connection: Arc<Connection>) {
        tracing::info!(backend = self.upstream.name, "a backend is stopped because no call has used it");
        let client = connection.client.clone();
        drop(connection);
        client.close().await;
        let tick = self.upstream.target.times.tick();
        while tokio::time::timeout(tick, self.upstream.wanted.notified()).await.is_err() {
            self.sweep_sessions();
        }
        self.upstream.state.send_replace(State::Down { since: Instant::now(), reason: None });
    }

    fn sweep_sessions(&self) {
        self.upstream.sessions.sweep(self.upstream.target.times.idle.unwrap_or(SESSION_IDLE));
    }

    /// Handles notifications of the upstream until the connection ends.
    async fn follow(&mut self, connection: &Arc<Connection>) -> Result<Idle, Error> {
        let (client, upstream) = (&connection.client, Arc::clone(&self.upstream));
        self.publisher.instructions(client.server().instructions.as_deref().unwrap_or_default());
        self.refresh(client, ALL).await?;
        // MCP 2026-07-28 basic/patterns/subscriptions: notices may have been lost, so what is watched may have changed.
        self.all_updated();
        tracing::info!(backend = upstream.name, revision = client.version().as_str(), "a backend is connected");
        upstream.state.send_replace(State::Up(Arc::clone(connection)));
        // A server may leave a subscription without an answer, so the lists do not wait for it.
        // Entries that have changed since they were fetched are fetched now.
        let mut hearing = Hearing::open(client, &upstream.watched()).await;
        self.refresh(client, ALL).await?;
        let mut use_of = Use { calls: upstream.calls.load(Ordering::Relaxed), last: Instant::now() };
        loop {
            tokio::select! {
                error = client.ended() => return Err(error),
                notice = hearing.next() => self.heard(client, notice?).await?,
                () = upstream.watching.notified() => hearing.follow(client, &upstream.watched()).await,
                () = upstream.suspicion.notified() => {
                    alive(client).await?;
                    upstream.state.send_replace(State::Up(Arc::clone(connection)));
                }
                () = sleep(upstream.target.times.tick()) => {
                    self.sweep_sessions();
                    // A server that is busy with a call may be late with other answers; the call has a time limit of its own.
                    // This task, the state and nothing else hold the connection while no call runs.
                    if Arc::strong_count(connection) > 2 {
                        use_of.last = Instant::now();
                        continue;
                    }
                    if use_of.is_over(&upstream) && self.let_go(connection) {
                        return Ok(Idle);
                    }
                    alive(client).await?;
                }
            }
        }
    }

    /// Marks the connection as idle, so that no further call takes it. Returns `false` if a call
    /// still uses it.
    fn let_go(&self, connection: &Arc<Connection>) -> bool {
        self.upstream.state.send_replace(State::Idle);
        let is_free = connection.is_free();
        if !is_free {
            self.upstream.state.send_replace(State::Up(Arc::clone(connection)));
        }
        is_free
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
        self.upstream.note_tasks(self.lists.tasks());
        self.is_published = true;
        for taken in self.publisher.publish(self.lists.entries()) {
            let remedy = match taken.kind() {
                Kind::Tool | Kind::Prompt => "set a prefix",
                Kind::Resource | Kind::Template => "the backend that is named first has it",
            };
            tracing::warn!(backend = self.upstream.name, %taken, remedy, "an entry of a backend is hidden");
        }
        Ok(())
    }

    fn all_updated(&self) {
        self.upstream.watched().into_iter().for_each(|uri| self.publisher.resource_updated(uri));
    }

    fn down(&self, reason: Error) {
        tracing::warn!(backend = self.upstream.name, %reason, "a backend is down");
        if let Some(on_end) = &self.upstream.target.on_end {
            on_end(&reason);
        }
        self.upstream.state.send_modify(|state| {
            let since = match state {
                State::Down { since, .. } => *since,
                State::Up(_) | State::Idle => Instant::now(),
            };
            *state = State::Down { since, reason: Some(reason) };
        });
    }
}

/// The last use of a connection, as far as it was observed.
struct Use {
    calls: u64,
    last: Instant,
}

impl Use {
    /// Whether the time without a call is over, and nothing else needs the child.
    fn is_over(&mut self, upstream: &Upstream) -> bool {
        let calls = upstream.calls.load(Ordering::Relaxed);
        if calls != self.calls {
            *self = Self { calls, last: Instant::now() };
        }
        let is_idle = upstream.target.times.idle.is_some_and(|idle| self.last.elapsed() >= idle);
        is_idle && upstream.watched().is_empty()
    }
}

/// Checks that the upstream answers. Any answer counts, also an error.
async fn alive(client: &Client) -> Result<(), Error> {
    match client.check().await {
        Ok(()) | Err(Error::Rpc(_) | Error::Invalid(_) | Error::TooLarge(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
