//! JSON-RPC batches of revision 2025-03-26.

use super::answer::{Answer, Step};
use super::pending::Pending;
use super::stop::Stop;
use crate::budget::{Overdrawn, Permit};
use crate::sink::Growing;
use attache_core::json::{Full, Sink};
use bytes::Bytes;

/// Returns the answers to the messages of a batch as one array, or `None` if there are none
/// (JSON-RPC 2.0 §6). Events of the calls are dropped, because the array has no place for them. The
/// array is charged to the request of `permit`.
///
/// # Errors
/// If the array does not fit into the budget.
pub(crate) async fn batched(pending: Vec<Pending>, permit: &Permit, stop: Stop) -> Result<Option<Bytes>, Overdrawn> {
    let mut answers = Vec::new();
    for pending in pending {
        match pending {
            Pending::Ready(Answer { bytes, .. }) => answers.push(bytes),
            Pending::Running(mut running) => {
                running.whole();
                running.ends_with(stop.clone());
                loop {
                    match running.step().await {
                        Step::Last(Answer { bytes, .. }) => break answers.push(bytes),
                        Step::Told(_) | Step::Piece(_) => {}
                        Step::Broken | Step::Gone => break,
                    }
                }
            }
            // Subscriptions exist in the modern era only, which has no batches.
            Pending::Listening(_) => {}
        }
    }
    if answers.is_empty() {
        return Ok(None);
    }
    let mut array = Growing::charged(permit, usize::MAX);
    let mut write = || -> Result<(), Full> {
        let mut between: &[u8] = b"[";
        // Each answer is freed after it was copied.
        for answer in answers.drain(..) {
            array.put(core::mem::replace(&mut between, b","))?;
            array.put(&answer)?;
        }
        array.put(b"]")
    };
    match write() {
        Ok(()) => Ok(Some(array.into_bytes())),
        Err(Full) => Err(array.overdrawn().unwrap_or(Overdrawn::Process)),
    }
}
