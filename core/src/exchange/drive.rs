//! The driver for handlers that return at once: a super-loop on a device, a test, a benchmark.

use super::{Carrier, Next, Reply, Standalone, open};
use crate::auth::Authenticated;
use crate::era::Version;
use crate::json::Sink;
use crate::mcp::Server;
use crate::rpc::Error;
use crate::tool::{Call, Output, ToolResult};

/// Reads `body`, runs `handler` if the body calls a tool, and returns the reply to send, or `None`
/// if there is none.
///
/// A tool's result is appended to `out`; [`Reply::emit`] writes the rest.
pub fn answer(
    server: &Server<'_>,
    who: &Authenticated<'_>,
    carrier: Carrier<'_>,
    body: &[u8],
    out: &mut (dyn Sink + Send),
    handler: impl FnOnce(Call<'_>, &mut Output<'_>) -> ToolResult,
) -> Option<Reply> {
    let mut ticket = match open(server, who, carrier, body).next {
        Next::Call(ticket) => ticket,
        Next::Reply(reply) => return Some(reply),
        // This driver stores nothing, so it does not confirm that it did.
        Next::Remember(_, reply) => return Some(reply.instead(Error::Failed(STORES_NOTHING))),
        // This driver sends one reply, so it cannot keep a subscription open.
        Next::Listen(listen) => return Some(listen.refuse()),
        // This driver does not support cancellation or questions, which get no response.
        Next::Cancel(_) | Next::Answer(..) | Next::Ack => return None,
        // This driver sends one reply, so it refuses batches.
        Next::Batch(_) => return Some(Standalone::error(Error::Batch, Version::V2025_03_26).into()),
    };
    Some(match ticket.begin(body, out) {
        Err(reply) => reply,
        Ok(mut output) => {
            let result = handler(ticket.call(body, who), &mut output);
            ticket.finish(server, output, result)
        }
    })
}

const STORES_NOTHING: &str = "This server stores no log level and no resource subscriptions";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Access;
    use crate::json::{Slice, Text};
    use crate::tool::{Catalogue, Features, Kind, Member};

    /// A catalogue that declares every feature, as that of a host does.
    struct Everything;

    impl Catalogue for Everything {
        fn len(&self, _: Kind) -> usize {
            0
        }

        fn key(&self, _: Kind, _: usize) -> Option<&str> {
            None
        }

        fn members<'s>(&'s self, _: Kind, _: usize, _: &mut dyn FnMut(Member<'s>)) {}

        fn find(&self, _: Kind, _: Text<'_>) -> Option<usize> {
            None
        }

        fn features(&self) -> Features {
            Features {
                tools: true,
                prompts: true,
                resources: true,
                completions: true,
                logging: true,
                list_changed: true,
                subscribe: true,
            }
        }
    }

    fn answered(carrier: Carrier<'_>, message: &str, check: impl FnOnce(&str)) {
        let server = Server::new("everything", "1", &Everything).with_sessions();
        let (who, mut sent) = (Authenticated::anonymous(&Access::Anonymous), [0; 1024]);
        let mut none = Slice::new(&mut []);
        let reply = answer(&server, &who, carrier, message.as_bytes(), &mut none, |_, _| Ok(()))
            .expect("a request is answered");
        let len = reply.emit(&server, message.as_bytes(), b"").fill(&mut sent);
        check(str::from_utf8(&sent[..len]).unwrap());
    }

    #[test]
    fn parts_of_the_protocol_that_are_not_built_are_neither_declared_nor_served() {
        const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let modern = |method: &str, check: &dyn Fn(&str)| {
            let mut message = [0; 512];
            let mut out = Slice::new(&mut message);
            for piece in [r#"{"jsonrpc":"2.0","id":1,"method":""#, method, r#"","params":{"#, META, "}}"] {
                out.put(piece.as_bytes()).unwrap();
            }
            answered(Carrier::Line(None), str::from_utf8(out.written()).unwrap(), |said| check(said));
        };
        for (built, capability, method) in [
            (cfg!(feature = "prompts"), r#""prompts":{"#, "prompts/list"),
            (cfg!(feature = "completions"), r#""completions":{"#, "completion/complete"),
            (cfg!(feature = "subscriptions"), r#""subscribe":true"#, "subscriptions/listen"),
            (true, r#""tools":{"#, "tools/list"),
        ] {
            modern("server/discover", &|said| assert_eq!(said.contains(capability), built, "{said}"));
            modern(method, &|said| assert_eq!(said.contains("-32601"), !built, "{method}: {said}"));
        }
        modern("server/discover", &|said| {
            assert_eq!(said.contains(r#""logging":{"#), cfg!(feature = "progress"), "{said}");
        });
    }

    #[test]
    fn batch_is_refused_by_a_server_that_is_built_without_batches() {
        let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
        let line = Carrier::Line(Some(Version::V2025_03_26));
        assert_eq!(line.has_batches(), cfg!(feature = "batches"));
        answered(line, batch, |said| assert!(said.contains("Batches are not served"), "{said}"));
    }
}
