//! Upgraded connections (RFC 9110 §7.8), such as WebSockets: bytes in both directions.

use super::activity::Activity;
use super::limits::TUNNEL_BUFFER;
use core::time::Duration;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

/// Copies bytes between both peers until one of them closes its connection, or both are silent for the time limit.
pub(super) async fn run(client: OnUpgrade, application: OnUpgrade, limit: Duration) {
    let (client, application) = match tokio::try_join!(client, application) {
        Ok((client, application)) => (TokioIo::new(client), TokioIo::new(application)),
        Err(error) => return tracing::debug!(%error, "a connection was not upgraded"),
    };
    let activity = Activity::new(limit);
    let (client_reads, client_writes) = split(client);
    let (application_reads, application_writes) = split(application);
    let up = copy(client_reads, application_writes, &activity);
    let down = copy(application_reads, client_writes, &activity);
    let both = async { tokio::try_join!(up, down).map(drop) };
    tokio::select! {
        ended = both => if let Err(error) = ended {
            tracing::debug!(%error, "an upgraded connection ended");
        },
        () = activity.is_idle() => tracing::debug!("an upgraded connection was idle and is closed"),
    }
}

/// Copies bytes in one direction, and passes its end on.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: &Arc<Activity>,
) -> io::Result<()> {
    let mut buffer = vec![0; TUNNEL_BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        activity.note();
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return to.shutdown().await;
        };
        to.write_all(bytes).await?;
        activity.note();
    }
}
