//! Batches of revision 2025-03-26.

use super::answer::{Answer, Step};
use super::pending::Pending;
use super::stop::Stop;
use bytes::Bytes;

/// The answers to the messages of a batch, as one array; nothing if there is none (JSON-RPC 2.0 §6). What calls tell meanwhile
/// has no place in it.
pub(crate) async fn batched(pending: Vec<Pending>, stop: Stop) -> Option<Bytes> {
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
            // Of the modern era, which knows no batches.
            Pending::Listening(_) => {}
        }
    }
    (!answers.is_empty()).then(|| [b"[", answers.join(b",".as_slice()).as_slice(), b"]"].concat().into())
}
