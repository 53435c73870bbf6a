//! Detects the version of HTTP from the first bytes of a connection.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// The preface of HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection after a peek at its first bytes, which are read again from here.
#[derive(Debug)]
pub(super) struct Peeked<S> {
    inner: S,
    first: [u8; PREFACE.len()],
    /// The number of peeked bytes that have not been read again.
    left: usize,
}

impl<S: AsyncRead + Unpin> Peeked<S> {
    /// Peeks at as many bytes as the detection needs. Returns whether the connection speaks HTTP/2.
    pub(super) async fn of(mut inner: S) -> io::Result<(Self, bool)> {
        let (mut first, mut len) = ([0; PREFACE.len()], 0);
        while len < first.len() && PREFACE.starts_with(&first[..len]) {
            match inner.read(&mut first[len..]).await? {
                // The reader of the connection judges the bytes before an early end.
                0 => break,
                read => len += read,
            }
        }
        Ok((Self { inner, first, left: len }, first == *PREFACE))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Peeked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Pin::new(&mut self.inner).poll_read(context, buffer);
        }
        let fits = self.left.min(buffer.remaining());
        buffer.put_slice(&self.first[..fits]);
        self.left -= fits;
        self.first.rotate_left(fits);
        if self.left > 0 {
            return Poll::Ready(Ok(()));
        }
        // Reads the following bytes in the same call, because hyper enlarges its buffer for a
        // separate read.
        match Pin::new(&mut self.inner).poll_read(context, buffer) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }
}

pass_writes!(Peeked);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn first_bytes_tell_the_version_in_whatever_pieces_they_come_and_are_read_again() {
        let h2 = [PREFACE.as_slice(), b"\0\0\0\x04\0\0\0\0\0"].concat();
        for (bytes, expected) in [
            (h2.as_slice(), true),
            (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", false),
            (b"PRI * HTTP/1.1\r\n\r\n", false),
            (b"PRI", false),
            (b"", false),
        ] {
            for size in 1..=bytes.len().max(1) {
                let (mut client, server) = tokio::io::duplex(256);
                let write = async {
                    for piece in bytes.chunks(size) {
                        client.write_all(piece).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    drop(client);
                };
                let read = async {
                    let (mut begun, is_http2) = Peeked::of(server).await.unwrap();
                    let mut again = Vec::new();
                    begun.read_to_end(&mut again).await.unwrap();
                    (is_http2, again)
                };
                let ((), (is_http2, again)) = tokio::join!(write, read);
                assert_eq!((is_http2, again.as_slice()), (expected, bytes), "in pieces of {size}");
            }
        }
    }

    #[tokio::test]
    async fn what_follows_the_first_bytes_is_read_with_them() {
        let (mut client, server) = tokio::io::duplex(256);
        client.write_all(&[b'x'; 100]).await.unwrap();
        let (mut begun, _) = Peeked::of(server).await.unwrap();
        assert_eq!(begun.read(&mut [0; 200]).await.unwrap(), 100);
    }
}
