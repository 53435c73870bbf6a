//! The log of refused requests. Peers can cause these lines at will, so each is short and
//! printable, and equal lines are counted instead of repeated.

use crate::why::printable;
use core::net::IpAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A refused request as it is logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Refused {
    pub(crate) server: String,
    pub(crate) transport: &'static str,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) caller: Option<String>,
    pub(crate) method: &'static str,
    pub(crate) reason: Option<&'static str>,
    /// The fault of the credentials.
    pub(crate) why: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<&'static str>,
}

/// Recently logged lines, and the number of repetitions of each.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    again: HashMap<Refused, u64>,
    /// Refusals that did not fit into the table.
    others: u64,
    is_counting: bool,
}

/// Most different lines in the table. Further refusals are counted together. Half a kilobyte each.
const APART: usize = 256;

/// The window in which equal lines are counted before the count is logged.
const WINDOW: Duration = Duration::from_secs(10);

impl Refusals {
    /// Logs a refusal, or counts it if an equal one was logged within the [`WINDOW`].
    pub(crate) fn log(self: &Arc<Self>, refused: Refused) {
        // Without a runtime nothing would ever log the counts.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return refused.log(None) };
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(again) = recent.again.get_mut(&refused) {
            *again += 1;
            return;
        }
        if recent.again.len() >= APART {
            recent.others += 1;
            return;
        }
        refused.log(None);
        recent.again.insert(refused, 0);
        if !core::mem::replace(&mut recent.is_counting, true) {
            let refusals = Arc::clone(self);
            runtime.spawn(async move {
                tokio::time::sleep(WINDOW).await;
                refusals.tell();
            });
        }
    }

    /// Logs the counts.
    fn tell(&self) {
        let Recent { again, others, .. } = core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (refused, times) in again.into_iter().filter(|(_, times)| *times > 0) {
            refused.log(Some(times));
        }
        if others > 0 {
            tracing::warn!(times = others, "refused many different requests, which were not logged one by one");
        }
    }
}

impl Refused {
    fn log(&self, again: Option<u64>) {
        let Self { server, transport, peer, caller, method, reason, why, status, code } = self;
        let server = printable(server, 64);
        let (peer, caller, why) = (peer.map(tracing::field::display), caller.as_deref(), why.as_deref());
        match again {
            None => tracing::warn!(server, transport, peer, caller, method, reason, why, status, code, "refused"),
            Some(again) => {
                tracing::warn!(
                    server,
                    transport,
                    peer,
                    caller,
                    method,
                    reason,
                    why,
                    status,
                    code,
                    again,
                    "refused again"
                );
            }
        }
    }
}
