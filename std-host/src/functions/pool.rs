//! The worker processes of one app: started again when they end, and calls spread over them.

use super::endpoint::Endpoint;
use super::limits::{BACK_OFF_FIRST, BACK_OFF_MOST, STOP_TIME, SUSTAINED, WAIT_TIME};
use super::lines::Lines;
use super::link::Link;
use super::messages::RpcFunctionMetadata;
use super::process::Launch;
use super::start::{Failure, Reported, Worker, start};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// The workers of an app. Dropping the pool kills them.
pub(super) struct Pool {
    links: watch::Receiver<Links>,
    next: AtomicUsize,
    stop: watch::Sender<bool>,
    keepers: Mutex<Vec<JoinHandle<()>>>,
}

/// The stream of each worker that is up.
type Links = Vec<Option<Arc<Link>>>;

/// The values that every start of a worker needs.
struct Recipe {
    app: Arc<str>,
    levels: Arc<[(String, i32)]>,
    launch: Launch,
    endpoint: Arc<Endpoint>,
    functions: Vec<RpcFunctionMetadata>,
}

impl Pool {
    /// Starts the first worker, which reports the functions, and the others behind it.
    ///
    /// # Errors
    /// If the first worker does not start.
    pub(super) async fn start(
        app: Arc<str>,
        levels: Arc<[(String, i32)]>,
        launch: Launch,
        endpoint: Arc<Endpoint>,
        processes: usize,
    ) -> Result<(Self, Reported), Failure> {
        let lines = Lines::new(Arc::clone(&app), Arc::clone(&levels));
        let (first, reported) = start(&launch, &endpoint, &lines, None).await?;
        for line in lines.started() {
            tracing::info!(app = &*app, "{line}");
        }
        let functions = reported.iter().map(|(function, _)| function.clone()).collect();
        let recipe = Arc::new(Recipe { app, levels, launch, endpoint, functions });
        let mut links: Links = vec![None; processes.max(1)];
        if let Some(place) = links.first_mut() {
            *place = Some(Arc::clone(&first.link));
        }
        let count = links.len();
        let (links, watched) = watch::channel(links);
        let (links, stop) = (Arc::new(links), watch::Sender::new(false));
        let mut first = Some(first);
        let keep = |number| {
            let keeper = Keeper { number, recipe: Arc::clone(&recipe), links: Arc::clone(&links) };
            tokio::spawn(keeper.run(first.take(), stop.subscribe()))
        };
        let keepers = Mutex::new((0..count).map(keep).collect());
        Ok((Self { links: watched, next: AtomicUsize::new(0), stop, keepers }, reported))
    }

    /// Returns a worker for a call, in turns. Waits shortly if none is up.
    pub(super) async fn pick(&self) -> Option<Arc<Link>> {
        let mut links = self.links.clone();
        let up = timeout(WAIT_TIME, links.wait_for(|links| links.iter().any(Option::is_some))).await.ok()?.ok()?;
        let up: Vec<_> = up.iter().flatten().collect();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        up.get(turn.checked_rem(up.len())?).map(|link| Arc::clone(link))
    }

    /// Ends all workers: those that understand it are asked first.
    pub(super) async fn stop(&self) {
        let _ = self.stop.send(true);
        let keepers = core::mem::take(&mut *self.keepers.lock().unwrap_or_else(PoisonError::into_inner));
        for keeper in keepers {
            let _ = keeper.await;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let keepers = self.keepers.get_mut().unwrap_or_else(PoisonError::into_inner);
        keepers.iter().for_each(JoinHandle::abort);
    }
}

/// Keeps one worker running.
struct Keeper {
    number: usize,
    recipe: Arc<Recipe>,
    links: Arc<watch::Sender<Links>>,
}

impl Keeper {
    async fn run(self, mut worker: Option<Worker>, mut stop: watch::Receiver<bool>) {
        let mut wait = Duration::ZERO;
        loop {
            let begun = Instant::now();
            let up = match worker.take() {
                Some(worker) => Some(worker),
                None => tokio::select! {
                    worker = self.start() => worker,
                    () = stopped(&mut stop) => return,
                },
            };
            if let Some(mut worker) = up {
                let asked = tokio::select! {
                    asked = self.watch(&mut worker) => Some(asked),
                    () = stopped(&mut stop) => None,
                };
                let Some(asked) = asked else { return end(worker).await };
                if asked || begun.elapsed() >= SUSTAINED {
                    wait = Duration::ZERO;
                }
                drop(worker);
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = stopped(&mut stop) => return,
            }
            wait = wait.saturating_mul(2).clamp(BACK_OFF_FIRST, BACK_OFF_MOST);
        }
    }

    async fn start(&self) -> Option<Worker> {
        let Recipe { app, levels, launch, endpoint, functions } = &*self.recipe;
        let lines = Lines::new(Arc::clone(app), Arc::clone(levels));
        match start(launch, endpoint, &lines, Some(functions)).await {
            Ok((worker, _)) => {
                lines.started();
                self.set(Some(Arc::clone(&worker.link)));
                Some(worker)
            }
            Err(failure) => {
                tracing::error!(app = &**app, worker = self.number, "a worker does not start: {failure}");
                None
            }
        }
    }

    /// Follows a worker to its end. Returns whether the worker has asked for a restart.
    async fn watch(&self, worker: &mut Worker) -> bool {
        let (app, number) = (&*self.recipe.app, self.number);
        let link = Arc::clone(&worker.link);
        let asked = tokio::select! {
            status = worker.process.ended() => match status {
                // FunctionRpc: a worker that ends with this code asks for a restart.
                Ok(status) if status.code() == Some(RESTART) => true,
                Ok(status) => {
                    tracing::warn!(app, worker = number, %status, "a worker has ended and is started again");
                    false
                }
                Err(error) => {
                    tracing::warn!(app, worker = number, %error, "a worker was lost and is started again");
                    false
                }
            },
            () = link.ended() => {
                let reason = link.reason();
                tracing::warn!(app, worker = number, %reason, "a worker was lost and is started again");
                false
            }
            () = link.kill.notified() => {
                tracing::warn!(app, worker = number, "a worker does not answer and is killed and started again");
                false
            }
        };
        self.set(None);
        asked
    }

    fn set(&self, link: Option<Arc<Link>>) {
        self.links.send_modify(|links| {
            if let Some(place) = links.get_mut(self.number) {
                *place = link;
            }
        });
    }
}

/// Waits until the pool is stopped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The exit code with which a worker asks for a restart.
const RESTART: i32 = 200;

async fn end(worker: Worker) {
    if worker.link.terminate(STOP_TIME).await {
        worker.process.stop().await;
    }
}
