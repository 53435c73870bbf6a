//! An in-memory client for tests of a server's tools, on a host or on a board: no transport, no
//! handshake, no allocation.
//!
//! ```
//! use attache_core::json::Text;
//! use attache_core::mcp::Server;
//! use attache_core::testing::Client;
//! use attache_core::tool::{Output, Tables, ToolResult};
//!
//! # attache_core::args! { pub struct Echo<'a> { /** what to say */ text: Text<'a> } }
//! # attache_core::tools! { pub mod parrot for Parrot { /** Say it again */ fn echo(Echo<'_>); } }
//! # pub struct Parrot;
//! # impl Parrot {
//! #     fn echo(&self, said: Echo<'_>, out: &mut Output<'_>) -> ToolResult { out.text_with(|block| block.echo(said.text)) }
//! # }
//! static OFFERS: Tables<'static> = Tables::of_tools(parrot::TOOLS);
//! static SERVER: Server<'static> = Server::new("parrot", "1", &OFFERS);
//!
//! # fn main() {
//! let mut client = Client::<512>::of(&SERVER);
//! let result = client.call("echo", r#"{"text":"hello"}"#, |call, out| parrot::dispatch(&Parrot, call, out));
//! assert!(result.unwrap().raw().starts_with(br#"{"content":[{"type":"text","text":"hello"}]"#));
//! # }
//! ```

use crate::auth::{Access, Authenticated};
use crate::exchange::{self, Carrier};
use crate::json::{Reader, Sink, Slice, Value};
use crate::mcp::Server;
use crate::tool::{Call, Output, ToolResult};

/// A client of revision 2026-07-28 that sends the bytes of a real client on a line and receives a
/// real response. It declares no capabilities. Request, result and response have buffers of `SIZE`
/// bytes each.
#[derive(Debug)]
pub struct Client<'a, const SIZE: usize> {
    server: &'a Server<'a>,
    request: [u8; SIZE],
    result: [u8; SIZE],
    answer: [u8; SIZE],
}

/// The reasons why a call returned no result.
#[derive(Clone, Copy, Debug)]
pub enum NoResult<'c> {
    /// A protocol error: an object with `code`, `message` and optional `data`.
    Error(Value<'c>),
    /// The request or the response does not fit the client's buffers.
    TooLarge,
}

impl<'a, const SIZE: usize> Client<'a, SIZE> {
    /// Creates a client of this server.
    pub const fn of(server: &'a Server<'a>) -> Self {
        Self { server, request: [0; SIZE], result: [0; SIZE], answer: [0; SIZE] }
    }

    /// Calls a tool with `arguments`, a JSON object, and returns its result, which may be a failure
    /// (`isError`) or a question. `handler` runs the call, if the server accepts it.
    ///
    /// # Errors
    /// [`NoResult`]
    pub fn call(
        &mut self,
        tool: &str,
        arguments: &str,
        handler: impl FnOnce(Call<'_>, &mut Output<'_>) -> ToolResult,
    ) -> Result<Value<'_>, NoResult<'_>> {
        let Self { server, request, result, answer } = self;
        let request = write(request, tool, arguments).ok_or(NoResult::TooLarge)?;
        let mut result = Slice::new(result);
        let who = Authenticated::anonymous(&Access::Anonymous);
        let reply = exchange::answer(server, &who, Carrier::Line(None), request, &mut result, handler);
        let reply = reply.ok_or(NoResult::TooLarge)?;
        let mut emission = reply.emit(server, request, result.written());
        if emission.len() > answer.len() {
            return Err(NoResult::TooLarge);
        }
        let len = emission.fill(answer);
        let text = answer.get(..len).unwrap_or_default();
        let message = Reader::new(text).ok().and_then(|mut reader| Some(reader.skip().ok()?.of(text)));
        let member = |name| message.as_ref().and_then(|message| message.member(name));
        match (member("result"), member("error")) {
            (Some(result), _) => Ok(result),
            (None, Some(error)) => Err(NoResult::Error(error)),
            (None, None) => Err(NoResult::TooLarge),
        }
    }
}

/// Writes the request; `None` if it does not fit.
fn write<'b>(buffer: &'b mut [u8], tool: &str, arguments: &str) -> Option<&'b [u8]> {
    let mut out = Slice::new(buffer);
    for piece in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""#,
        tool,
        r#"","arguments":"#,
        arguments,
        r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
    ] {
        out.put(piece.as_bytes()).ok()?;
    }
    let len = out.len();
    buffer.get(..len)
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macros make public items")]
mod tests {
    use super::*;
    use crate::json::Text;
    use crate::tool::Tables;

    crate::args! { struct Echo<'a> { /** what to say */ text: Text<'a> } }
    crate::tools! { mod parrot for Parrot { /** Say it again */ fn echo(Echo<'_>); } }

    struct Parrot;

    impl Parrot {
        fn echo(&self, said: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
            out.text_with(|block| block.echo(said.text))
        }
    }

    static OFFERS: Tables<'static> = Tables::of_tools(parrot::TOOLS);
    static SERVER: Server<'static> = Server::new("parrot", "1", &OFFERS);

    #[test]
    fn client_gets_results_failures_and_errors_and_says_when_its_buffers_are_too_small() {
        let mut client = Client::<512>::of(&SERVER);
        let run = |call: Call<'_>, out: &mut Output<'_>| parrot::dispatch(&Parrot, call, out);
        let result = client.call("echo", r#"{"text":"hello"}"#, run).unwrap();
        assert!(result.member("content").unwrap().raw().starts_with(br#"[{"type":"text","text":"hello"}"#));
        let failed = client.call("echo", r#"{"text":7}"#, run).unwrap();
        assert_eq!(failed.member("isError").and_then(|failed| failed.bool()), Some(true));
        let Err(NoResult::Error(error)) = client.call("ecco", "{}", run) else { panic!("there is no such tool") };
        assert_eq!(error.member("code").unwrap().raw(), b"-32602");
        assert!(matches!(client.call("echo", r#"{"text":"#, run), Err(NoResult::Error(_))), "no JSON");
        let long = [b'x'; 400];
        let arguments = str::from_utf8(&long).unwrap();
        assert!(matches!(client.call("echo", arguments, run), Err(NoResult::TooLarge)));
        assert!(matches!(Client::<16>::of(&SERVER).call("echo", "{}", run), Err(NoResult::TooLarge)));
    }
}
