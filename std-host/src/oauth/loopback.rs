//! The redirect URI of a native application: a port of this machine that is open during one sign-in
//! (RFC 8252 §7.3).

use super::authorization::Attempt;
use super::discovery::Issuer;
use super::error::OAuthError;
use super::limits::{CALLBACK, CALLBACK_TIME, CALLBACKS, SIGN_IN_TIME};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A listener for the response to one authorization request.
pub(crate) struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Listens on a port of this machine, or on a free one for port 0.
    // RFC 8252 §8.3: on the loopback address alone, and not by the name `localhost`, which may resolve to another one.
    pub(crate) async fn bind(port: u16) -> Result<Self, OAuthError> {
        let failed = |error: std::io::Error| OAuthError::NoPort(format!("127.0.0.1:{port}: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        Ok(Self { listener, port })
    }

    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}/callback", self.port)
    }

    /// Waits for the response that belongs to the attempt, and returns the authorization code. Other requests, which any
    /// program or web page can send, are refused and do not end the wait.
    pub(crate) async fn code(self, attempt: Attempt, issuer: Issuer) -> Result<String, OAuthError> {
        let (attempt, issuer) = (Arc::new(attempt), Arc::new(issuer));
        let waiting = async {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = self.listener.accept(), if connections.len() < CALLBACKS => {
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(serve(stream, Arc::clone(&attempt), Arc::clone(&issuer)));
                        }
                    }
                    Some(done) = connections.join_next() => {
                        if let Ok(Some(code)) = done {
                            return code;
                        }
                    }
                }
            }
        };
        timeout(SIGN_IN_TIME, waiting).await.unwrap_or(Err(OAuthError::NotFinished))
    }
}

/// Answers one request. Returns the outcome if it is the response to the authorization request.
async fn serve(
    mut stream: TcpStream,
    attempt: Arc<Attempt>,
    issuer: Arc<Issuer>,
) -> Option<Result<String, OAuthError>> {
    let head = timeout(CALLBACK_TIME, head(&mut stream)).await.ok()??;
    let target = head.strip_prefix("GET ")?.split(' ').next()?;
    let outcome = match target.split_once('?') {
        Some(("/callback", query)) => attempt.code(query, &issuer),
        _ => None,
    };
    let page = match &outcome {
        Some(Ok(_)) => page("200 OK", "Signed in", "You can close this page and go back to your terminal."),
        Some(Err(_)) => {
            page("400 Bad Request", "Not signed in", "Your terminal shows the reason. You can close this page.")
        }
        None => page("404 Not Found", "Nothing here", "This page belongs to a sign-in that has ended, or to none."),
    };
    let _ = timeout(CALLBACK_TIME, async {
        stream.write_all(page.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
    outcome
}

/// Reads the head of a request.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 2048];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut piece).await.ok().filter(|&read| read > 0 && bytes.len() + read <= CALLBACK)?;
        bytes.extend_from_slice(piece.get(..read)?);
    }
    String::from_utf8(bytes).ok()
}

/// A page without scripts. It takes the code out of the history's next request (`Referer`).
fn page(status: &str, title: &str, text: &str) -> String {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><h1>{title}</h1><p>{text}</p></html>\n"
    );
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         content-security-policy: default-src 'none'; frame-ancestors 'none'\r\nreferrer-policy: no-referrer\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sign_in_that_is_never_finished_ends() {
        let loopback = Loopback::bind(0).await.expect("a free port");
        let attempt = Attempt::new().expect("random numbers");
        assert_eq!(loopback.code(attempt, Issuer::default()).await, Err(OAuthError::NotFinished));
    }

    #[tokio::test]
    async fn port_in_use_is_reported() {
        let first = Loopback::bind(0).await.expect("a free port");
        assert!(matches!(Loopback::bind(first.port).await, Err(OAuthError::NoPort(_))));
    }
}
