//! An open subscription (MCP 2026-07-28 basic/patterns/subscriptions): the events that it selects,
//! and its first and last message. Like a ticket, it holds spans of the body of the request that
//! opened it.

use super::reply::Reply;
use crate::era::Version;
use crate::json::{Full, Item, Kind as Json, Reader, Sink, Span, Text};
use crate::mcp::{MessageLabel, Method, Server, tag};
use crate::rpc::{Error, Unanswerable};
use crate::tool::{Kind, same_uri};

/// The part of a `subscriptions/listen` request that the server can honour.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Listen {
    id: Span,
    tools: bool,
    prompts: bool,
    resources: bool,
    /// The array of URIs.
    uris: Option<Item>,
}

impl Listen {
    pub(super) const fn new(id: Span, [tools, prompts, resources]: [bool; 3], uris: Option<Item>) -> Self {
        Self { id, tools, prompts, resources, uris }
    }

    /// Returns the id of the request as the client wrote it. It is also the id of the subscription.
    pub fn id<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        self.id.of(body)
    }

    /// Returns the reply for a server that has no capacity for another subscription.
    pub fn refuse(&self) -> Reply {
        self.refuse_with(Error::Busy("Too many subscriptions are open: end one of them first"))
    }

    /// Returns the reply for a subscription that cannot be opened, for a reason that the peer may
    /// see.
    pub fn refuse_for(&self, reason: &'static str) -> Reply {
        self.refuse_with(Error::Failed(reason))
    }

    /// Returns the reply with this error, for a subscription that the driver cannot open.
    pub fn refuse_with(&self, error: Error) -> Reply {
        let refused = Unanswerable { error, id: Some(self.id) };
        Reply::error(refused, Some(Version::V2026_07_28)).about(MessageLabel::Method(Method::Listen))
    }

    /// Whether the subscription includes changes of this list.
    pub const fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tool => self.tools,
            Kind::Prompt => self.prompts,
            Kind::Resource | Kind::Template => self.resources,
        }
    }

    /// Whether the subscription includes changes of the resource with this URI.
    pub fn wants_uri(&self, body: &[u8], uri: &str) -> bool {
        let Some(array) = self.uris.map(|uris| uris.of(body)) else {
            return false;
        };
        !each(&mut array.reader(), |item| !item.of(array.raw()).text().is_some_and(|known| same_uri(uri, known)))
    }

    /// Calls `take` with each URI of the subscription.
    pub fn each_uri(&self, body: &[u8], mut take: impl FnMut(Text<'_>)) {
        if let Some(array) = self.uris.map(|uris| uris.of(body)) {
            each(&mut array.reader(), |item| {
                item.of(array.raw()).text().into_iter().for_each(&mut take);
                true
            });
        }
    }

    /// Writes the first message: the part of the request that the server honours.
    ///
    /// # Errors
    /// [`Full`] if the message does not fit; a part may have been written then.
    pub fn acknowledge(&self, body: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
        out.put(
            br#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"#,
        )?;
        let mut comma: &[u8] = b"";
        for (wanted, member) in [
            (self.tools, br#""toolsListChanged":true"#.as_slice()),
            (self.prompts, br#""promptsListChanged":true"#),
            (self.resources, br#""resourcesListChanged":true"#),
        ] {
            if wanted {
                out.put(core::mem::replace(&mut comma, b","))?;
                out.put(member)?;
            }
        }
        if let Some(array) = self.uris.map(|uris| uris.of(body)) {
            out.put(comma)?;
            out.put(br#""resourceSubscriptions":["#)?;
            // Copied one by one, without the text between them: a line feed there would end a
            // server-sent event.
            let mut put = Ok(());
            let mut comma: &[u8] = b"";
            each(&mut array.reader(), |item| {
                put = out.put(core::mem::replace(&mut comma, b",")).and_then(|()| out.put(item.span().of(array.raw())));
                put.is_ok()
            });
            put?;
            out.put(b"]")?;
        }
        out.put(b"},")?;
        tag(self.id.of(body), out)?;
        out.put(b"}}")
    }

    /// Writes the last message, when the server ends the subscription.
    ///
    /// # Errors
    /// [`Full`] if the message does not fit; a part may have been written then.
    pub fn end(&self, server: &Server<'_>, body: &[u8], out: &mut dyn Sink) -> Result<(), Full> {
        let id = self.id.of(body);
        out.put(br#"{"jsonrpc":"2.0","id":"#)?;
        out.put(id)?;
        out.put(br#","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"#)?;
        out.put(id)?;
        out.put(br#","io.modelcontextprotocol/serverInfo":"#)?;
        server.info().into_iter().try_for_each(|piece| out.put(piece))?;
        out.put(b"}}}")
    }
}

/// Whether an array contains only strings.
pub(super) fn is_strings(array: Item, body: &[u8]) -> bool {
    each(&mut array.of(body).reader(), |item| item.kind() == Json::String)
}

/// Whether the next value is an array and `good` returns true for each of its elements.
fn each(reader: &mut Reader<'_>, mut good: impl FnMut(Item) -> bool) -> bool {
    if !matches!(reader.enter_array(), Ok(Some(_))) {
        return false;
    }
    while let Ok(true) = reader.element() {
        match reader.skip() {
            Ok(item) if good(item) => {}
            _ => return false,
        }
    }
    true
}
