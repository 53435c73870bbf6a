//! The signal that ends running calls when the program stops.

use tokio::sync::watch;

/// Signals running calls to end now, with an error for their client.
#[derive(Debug)]
pub(crate) struct StopCalls(watch::Sender<bool>);

/// Receives the signal. The default never receives it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Option<watch::Receiver<bool>>);

impl StopCalls {
    pub(crate) fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stop(Some(receiver)))
    }

    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits until calls must end.
    pub(crate) async fn wait(&mut self) {
        if let Some(receiver) = &mut self.0
            && receiver.wait_for(|stop| *stop).await.is_ok()
        {
            return;
        }
        // There is no sender, or it was dropped without a signal.
        core::future::pending().await
    }
}

/// The error text for calls that can no longer be answered.
pub(crate) const STOPPED: &str = "The server is stopping, and has not finished the call";
