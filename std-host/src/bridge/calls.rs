//! A call of the gate that runs at an upstream.

use super::connection::Lent;
use super::content;
use super::failures::{self, Failed};
use super::following::followed;
use super::limits::PAGE_ROUNDS;
use super::requests::request;
use super::tasks;
use super::upstream::{Unconnected, Upstream};
use crate::backend::{Answer, Call, Kind};
use crate::client::{Error, RawJson};
use std::sync::Arc;

/// Runs a call.
pub(super) async fn run(upstream: &Arc<Upstream>, call: &Call) -> Answer {
    let mut pages = 0;
    let mut is_retry = false;
    loop {
        let connection = match upstream.connection(call).await {
            Ok(connection) => connection,
            // The call has not been written.
            Err(Unconnected::Failed(Some(error))) if is_dead(&error) && !core::mem::replace(&mut is_retry, true) => {
                upstream.doubt(error);
                continue;
            }
            Err(unconnected) => return failures::unconnected(upstream, unconnected),
        };
        let error = match once(upstream, &connection, call).await {
            Ok(result) => return content::answer(&result, call),
            Err(error) => error,
        };
        if is_dead(&error) {
            upstream.suspect(&connection);
        }
        // A request that was not written cannot be carried out twice.
        if error.is_unsent() && is_dead(&error) && !core::mem::replace(&mut is_retry, true) {
            continue;
        }
        match failures::of_call(upstream, call, &connection, error) {
            Failed::Answer(answer) => return answer,
            Failed::Pages(questions) => {
                pages += 1;
                if pages > PAGE_ROUNDS {
                    return Answer::Failed("The person has to visit a page first, and has not done it".to_owned());
                }
                if let Err(reason) = Box::pin(super::questions::visit(upstream, call, questions)).await {
                    return Answer::Failed(reason);
                }
            }
        }
    }
}

/// Whether the connection is of no further use.
const fn is_dead(error: &Error) -> bool {
    matches!(
        error,
        Error::Exited(_)
            | Error::Lost(_)
            | Error::Unreachable(_)
            | Error::SessionLost
            | Error::Closed
            | Error::Spawn { .. }
    )
}

/// Makes the call once, and forwards what comes before the result.
async fn once(upstream: &Upstream, connection: &Lent, call: &Call) -> Result<RawJson, Error> {
    if let Some(level) = call.log_level() {
        Box::pin(connection.log_from(level)).await;
    }
    if call.kind() == Kind::Tool && upstream.needs_task(call.name()) {
        return Box::pin(tasks::run(upstream, connection, call)).await;
    }
    followed(upstream, call, connection.client.attended(request(upstream, call, connection))).await
}
