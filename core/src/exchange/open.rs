//! From a body to what is to be done with it. The checks stand in the order of MCP 2026-07-28 basic/versioning and
//! basic/transports; each refusal carries the id if it could be read.

use super::reply::{Reply, Shape};
use super::ticket::Ticket;
use crate::auth::{Authenticated, authorize};
use crate::era::{Carrier, Era, Version, negotiate};
use crate::http::{Facts, Field, agree};
use crate::json::Text;
use crate::mcp::{Method, Params, Server};
use crate::rpc::{Envelope, Error, Header, HeaderFault, Message, Param, Request, Unanswerable};

/// How a body came in.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'h> {
    /// As the body of an HTTP POST with this head.
    Http(&'h Facts<'h>),
    /// As a line of a connection, with the revision its handshake has agreed on, if there was one.
    Line(Option<Version>),
}

/// What is to be done with a body.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// Run the tool that the ticket names, then hand its result in.
    Call(Ticket),
    /// Send this.
    Reply(Reply),
    /// Nothing: over HTTP an empty answer with status 202.
    Ack,
}

/// Reads a message and decides what is to be done with it.
pub fn open(server: &Server<'_>, who: &Authenticated<'_>, origin: Origin<'_>, body: &[u8]) -> Next {
    let mut params = Params::default();
    let message = match Envelope::read(body, |reader| params.read(reader)) {
        Ok(envelope) => envelope.message(body).map(|message| (envelope, message)),
        Err(error) => Err(Unanswerable { error: Error::NotJson(error), id: None }),
    };
    match message {
        Ok((envelope, Message::Request(request))) => {
            Opening { server, who, origin, body, params: &params }.request(&envelope, request)
        }
        // JSON-RPC 2.0 §4.1: a notification is never answered, whatever is in it.
        Ok((_, Message::Notification)) => Next::Ack,
        Ok((_, Message::Answer)) => unexpected_answer(origin),
        Err(refused) => Next::Reply(Reply::error(refused, None)),
    }
}

/// The reply to a message that is too large to be read: nothing is known of it.
pub fn too_large(limit: usize) -> Reply {
    Reply::error(Unanswerable { error: Error::TooLarge(limit), id: None }, None)
}

/// An answer to a question that was never asked. MCP 2025-11-25 basic/transports: answers are taken with 202; in the
/// modern era a client sends none at all. On a line nobody waits, and an answer to an answer would be noise.
fn unexpected_answer(origin: Origin<'_>) -> Next {
    match origin {
        Origin::Http(facts) => {
            let legacy = matches!(facts.protocol_version, Field::Once(date) if Version::parse(date).is_some_and(|version| !version.is_modern()));
            match legacy {
                true => Next::Ack,
                false => Next::Reply(Reply::error(Unanswerable { error: Error::UnexpectedAnswer, id: None }, None)),
            }
        }
        Origin::Line(_) => Next::Ack,
    }
}

/// A request on its way through the checks.
struct Opening<'a> {
    server: &'a Server<'a>,
    who: &'a Authenticated<'a>,
    origin: Origin<'a>,
    body: &'a [u8],
    params: &'a Params,
}

impl Opening<'_> {
    fn request(&self, envelope: &Envelope, request: Request) -> Next {
        let refuse = |error, version| Next::Reply(Reply::error(Unanswerable { error, id: Some(request.id) }, version));
        let era = match self.era(envelope, request) {
            Ok(era) => era,
            Err(error) => return refuse(error, None),
        };
        match era {
            Era::Handshake => self.handshake(request).unwrap_or_else(|error| refuse(error, None)),
            Era::Of(version) => self.method(request, version).unwrap_or_else(|error| refuse(error, Some(version))),
        }
    }

    fn era(&self, envelope: &Envelope, request: Request) -> Result<Era, Error> {
        envelope.check_params()?;
        self.params.check_meta()?;
        let carrier = match self.origin {
            Origin::Line(agreed) => Carrier::Line(agreed),
            Origin::Http(facts) => match facts.protocol_version {
                Field::Absent => Carrier::Http(None),
                Field::Once(version) => Carrier::Http(Some(version)),
                Field::Repeated => return Err(Error::Header(Header::ProtocolVersion, HeaderFault::Repeated)),
            },
        };
        negotiate(self.name_of(request), &self.params.meta, carrier, self.body)
    }

    /// The method's name.
    fn name_of(&self, request: Request) -> Text<'_> {
        request.method.of(self.body).text().unwrap_or_default()
    }

    // MCP 2025-11-25 basic/lifecycle, "Version Negotiation": the version asked for if it is served, else the newest
    // that is; never an echo of one that is not, and never a modern one, which knows no handshake.
    fn handshake(&self, request: Request) -> Result<Next, Error> {
        let asked = self.params.handshake()?.of(self.body).text().and_then(Version::named);
        let agreed = asked.filter(|version| !version.is_modern()).unwrap_or(Version::NEWEST_LEGACY);
        Ok(Next::Reply(Reply::result(request.id, Shape::Initialize(agreed))))
    }

    fn method(&self, request: Request, version: Version) -> Result<Next, Error> {
        let name = self.name_of(request);
        let method = Method::find(name, version, self.server);
        if version.is_modern()
            && let Origin::Http(facts) = self.origin
        {
            // MCP 2026-07-28 streamable-http: `Mcp-Name` mirrors `params.name` of a tools/call.
            let mirrored = match method {
                Some(Method::CallTool) => self.params.name().ok().and_then(|item| item.of(self.body).text()),
                _ => None,
            };
            agree(facts, name, mirrored)?;
        }
        let method = method.ok_or(Error::MethodNotFound(request.method.inner()))?;
        let shape = match method {
            Method::CallTool => return self.call(request, version).map(Next::Call),
            Method::ListTools => {
                // Everything stands on one page, so no cursor was ever issued.
                if self.params.cursor()?.is_some() {
                    return Err(Error::UnknownCursor);
                }
                Shape::Tools(version)
            }
            Method::Discover => Shape::Discover,
            Method::Ping => Shape::Empty,
        };
        Ok(Next::Reply(Reply::result(request.id, shape)))
    }

    fn call(&self, request: Request, version: Version) -> Result<Ticket, Error> {
        let name = self.params.name()?;
        let arguments = self.params.arguments()?;
        let text = name.of(self.body).text().ok_or(Error::Param(Param::Name))?;
        let tool = self.server.tools().find(text).ok_or(Error::UnknownTool(name.inner()))?;
        Ok(Ticket::new(authorize(self.who), request.id, version, tool, arguments))
    }
}
