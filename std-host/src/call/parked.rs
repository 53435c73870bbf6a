//! Parked calls, which wait for the answers of a modern client (MCP 2026-07-28
//! basic/patterns/mrtr). Such a client answers by retrying its request. A handler of this process
//! runs again with the answers. A call that another server runs cannot be run again, so it is kept
//! alive here until the retry arrives.

use super::events::{EventReceiver, Events, Question};
use super::outcome::{Outcome, Run};
use super::state::ParkedCall;
use crate::budget::{Account, Permit, open_to_all};
use crate::limits;
use attache_core::rpc::Code;
use core::future::ready;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The parked calls of one server.
#[derive(Clone)]
pub(crate) struct Parking {
    /// This process.
    home: [u8; 4],
    table: Arc<Mutex<Table>>,
    elsewhere: Elsewhere,
}

/// Continues a parked call of another process with these answers, and sends its progress under this token. The permit is for the memory
/// of its events.
pub(crate) type Elsewhere =
    Arc<dyn Fn(ParkedCall, Map<String, Value>, Option<&[u8]>, Permit) -> Suspended + Send + Sync>;

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
    pub(crate) events: EventReceiver,
    /// The permit for the memory that the call holds.
    pub(crate) permit: Permit,
}

impl Parking {
    /// The parked calls of the process `home`; `elsewhere` continues those of others.
    pub(crate) fn new(home: [u8; 4], elsewhere: Elsewhere) -> Self {
        Self { home, table: Arc::default(), elsewhere }
    }

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
        let state = sealer.seal_parked(ParkedCall { home: self.home, call: id })?;
        let parked = Arc::clone(&self.table);
        let expiry = tokio::spawn(async move {
            sleep(limits::PARKED_TIME).await;
            let expired = parked.lock().unwrap_or_else(PoisonError::into_inner).calls.remove(&id);
            drop(expired);
        });
        table.last = id;
        table.calls.insert(id, Parked { account, call, reply, events, expiry: expiry.abort_handle() });
        Some((requests, state))
    }

    /// Continues a parked call with these answers, in whatever process it is. Later progress of it goes out under `token`. The events
    /// of a call in another process are charged to the request of `permit`.
    pub(crate) fn resume(
        &self,
        parked: ParkedCall,
        answers: Map<String, Value>,
        token: Option<&[u8]>,
        permit: &Permit,
    ) -> Suspended {
        if parked.home != self.home {
            return (self.elsewhere)(parked, answers, token, permit.another());
        }
        self.take(parked.call, answers, token).unwrap_or_else(|| Suspended {
            run: Box::pin(ready(parked_gone())),
            events: EventReceiver::NONE,
            permit: Permit::uncounted(),
        })
    }

    /// Takes the call out and gives it the answers; `None` if it is not here. Later progress of it goes out under `token`.
    pub(crate) fn take(&self, id: u64, answers: Map<String, Value>, token: Option<&[u8]>) -> Option<Suspended> {
        let Parked { call, reply, events, expiry, .. } = self.table().calls.remove(&id)?;
        expiry.abort();
        events.continue_as(token);
        // A call that has already ended does not take the answers; its outcome says why.
        let _ = reply.send(Ok(answers));
        Some(call)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of a retry whose parked call has ended.
pub(crate) fn parked_gone() -> Outcome {
    Outcome::Rejected(
        Code::InvalidParams,
        "The call that asked for this has ended or is not on this server; retry the request without requestState"
            .to_owned(),
    )
}

/// The outcome of a call that asks its client while too many calls are parked.
pub(crate) fn parked_too_many() -> Outcome {
    Outcome::Rejected(
        Code::InternalError,
        "Too many calls wait for answers of their clients: try again later".to_owned(),
    )
}

impl core::fmt::Debug for Parking {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Parking").field("calls", &self.table().calls.len()).finish_non_exhaustive()
    }
}
