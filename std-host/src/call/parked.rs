//! Parked calls, which wait for the answers of a modern client (MCP 2026-07-28
//! basic/patterns/mrtr). Such a client answers by retrying its request. A handler of this process
//! runs again with the answers. A call that another server runs cannot be run again, so it is kept
//! alive here until the retry arrives.

use super::events::{Event, Events, Question};
use super::outcome::Run;
use crate::budget::{Account, Permit, open_to_all};
use crate::limits;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The parked calls of one server.
#[derive(Clone, Default)]
pub(crate) struct Parking(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    calls: HashMap<u64, Parked>,
    last: u64,
}

/// A call that waits for answers.
pub(crate) struct Parked {
    /// The caller that the call belongs to, for its share of the table.
    account: Account,
    call: Suspended,
    reply: oneshot::Sender<Result<Map<String, Value>, String>>,
    events: Arc<Events>,
    /// Ends the task that drops the call on expiry.
    expiry: AbortHandle,
}

/// A suspended call. It is not polled.
pub(crate) struct Suspended {
    pub(crate) run: Run,
    pub(crate) events: mpsc::Receiver<Event>,
    /// The permit for the memory that the call holds.
    pub(crate) permit: Permit,
}

impl Parking {
    /// Parks `call` until the answers to `question` arrive. After [`limits::PARKED_TIME`] the call
    /// is dropped, which cancels it. Returns the questions and the sealed state for the client, or
    /// `None` if the table or the caller's share of it is full.
    pub(crate) fn park(&self, call: Suspended, question: Question) -> Option<(Map<String, Value>, String)> {
        let Question { requests, reply, sealer, events } = question;
        let account = call.permit.account();
        let mut table = self.table();
        let own = table.calls.values().filter(|parked| parked.account == account).count();
        // The last eighth is for callers that have none.
        let room = if own == 0 { limits::PARKED } else { open_to_all(limits::PARKED) };
        if table.calls.len() >= room || own >= limits::PARKED_BY_CALLER {
            return None;
        }
        let id = table.last + 1;
        let state = sealer.seal_parked(id)?;
        let parking = Self(Arc::clone(&self.0));
        let expiry = tokio::spawn(async move {
            sleep(limits::PARKED_TIME).await;
            let expired = parking.table().calls.remove(&id);
            drop(expired);
        });
        table.last = id;
        table.calls.insert(id, Parked { account, call, reply, events, expiry: expiry.abort_handle() });
        Some((requests, state))
    }

    /// Takes a call out of the table and gives it the answers. Returns `None` if the call is not
    /// here. Its later progress is sent under `token`.
    pub(crate) fn resume(&self, id: u64, answers: Map<String, Value>, token: Option<&[u8]>) -> Option<Suspended> {
        let Parked { call, reply, events, expiry, .. } = self.table().calls.remove(&id)?;
        expiry.abort();
        events.continue_as(token);
        // A call that has already ended does not take the answers; its outcome says why.
        let _ = reply.send(Ok(answers));
        Some(call)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl core::fmt::Debug for Parking {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Parking").field("calls", &self.table().calls.len()).finish_non_exhaustive()
    }
}
