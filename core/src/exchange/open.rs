//! Opens a message: parses the body, checks it, and decides what the driver does next. The checks
//! are in the order of MCP 2026-07-28 basic/versioning and basic/transports. Each refusal carries
//! the request id if it could be read.

use super::Batch;
use super::carrier::{Batching, Carrier};
use super::listen::{Listen, is_strings};
use super::members::{at_path, each_member, fields, there};
use super::negotiate::{Era, negotiate};
use super::next::{Next, Opened, SessionChange};
use super::reply::{Reply, Shape, no_resource};
use super::ticket::Ticket;
use crate::auth::{Allowed, Authenticated, Denied, authorize};
use crate::era::{Client, Version};
use crate::http::{Field, HeadFacts, agree, param_agrees};
use crate::json::{Item, Kind as Json, Repeated, Span, Text};
use crate::mcp::{MessageLabel, Method, Page, Params, Server};
use crate::rpc::{Answer, Envelope, Error, Header, HeaderFault, Message, Param, Request, Unanswerable};
use crate::tool::{Kind, Level, Operation};

/// Reads a message and decides what the driver does next.
pub fn open(server: &Server<'_>, who: &Authenticated<'_>, carrier: Carrier<'_>, body: &[u8]) -> Opened {
    opened(server, who, &carrier, body, Batching::Alone)
}

/// Like [`open`], for one message of a [`Batch`] that arrived by `carrier`.
pub fn open_batched(server: &Server<'_>, who: &Authenticated<'_>, carrier: Carrier<'_>, message: &[u8]) -> Opened {
    opened(server, who, &carrier, message, Batching::Batched)
}

fn opened(
    server: &Server<'_>,
    who: &Authenticated<'_>,
    carrier: &Carrier<'_>,
    body: &[u8],
    batching: Batching,
) -> Opened {
    // The steps write into this value: a result that each step returns would be copied each time.
    let mut opened = Opened::new(Next::Ack, MessageLabel::Unreadable);
    if let Err(refused) = read(server, who, carrier, body, batching, &mut opened) {
        opened.next = Next::Reply(Reply::error(refused, opened.version).about(opened.method));
    }
    opened
}

/// Reads a message and writes the next step into `opened`, or returns the reason for a refusal.
#[inline(never)]
fn read(
    server: &Server<'_>,
    who: &Authenticated<'_>,
    carrier: &Carrier<'_>,
    body: &[u8],
    batching: Batching,
    opened: &mut Opened,
) -> Result<(), Unanswerable> {
    let without_id = |error| Unanswerable { error, id: None };
    let mut params = Params::default();
    let mut envelope = Envelope::new();
    envelope
        .fill(body, |reader| params.read(reader))
        .map_err(|error| without_id(carrier.refuse(Error::NotJson(error))))?;
    match envelope.message(body) {
        Ok(Message::Request(request)) => {
            let method = method_of(request.method, body);
            opened.method = MessageLabel::of(method);
            Opening { server, who, carrier, body, params: &params, object: envelope.params(), method, batching }
                .request(&envelope, request, opened)
                .map_err(|error| Unanswerable { error, id: Some(request.id) })
        }
        Ok(Message::Notification(method)) => {
            let method = method_of(method, body);
            opened.method = MessageLabel::of(method);
            notification(carrier, method, envelope.params(), body, &mut opened.next).map_err(without_id)
        }
        Ok(Message::Answer(answer)) => {
            opened.method = MessageLabel::Response;
            answered(carrier, answer, body, &mut opened.next).map_err(without_id)
        }
        Err(Unanswerable { error: Error::Batch, .. }) if batching == Batching::Alone && carrier.has_batches() => {
            opened.next = Next::Batch(Batch::read(body).map_err(without_id)?);
            Ok(())
        }
        Err(Unanswerable { error, id }) => Err(Unanswerable { error: carrier.refuse(error), id }),
    }
}

/// Finds the method that this string of the body names.
fn method_of(name: Item, body: &[u8]) -> Option<Method> {
    name.of(body).text().and_then(Method::named)
}

/// Opens a notification. JSON-RPC 2.0 §4.1: a notification never gets a response. But an HTTP POST
/// does: if its version header is not supported, the server MUST respond with 400 (MCP 2025-11-25
/// basic/transports, "Protocol Version Header").
fn notification(
    carrier: &Carrier<'_>,
    method: Option<Method>,
    params: Option<Item>,
    body: &[u8],
    next: &mut Next,
) -> Result<(), Error> {
    let fault = match carrier {
        Carrier::Line(_) => None,
        Carrier::Session(facts, session) => match facts.protocol_version {
            Field::Absent => None,
            Field::Once(date) if date == session.version.as_str().as_bytes() => None,
            Field::Once(_) => Some(HeaderFault::Session),
            Field::Repeated => Some(HeaderFault::Repeated),
        },
        Carrier::UnknownSession(_) => return Err(Error::UnknownSession),
        Carrier::Http(facts) => match facts.protocol_version {
            Field::Absent => None,
            Field::Once(date) if Version::parse(date).is_some() => None,
            Field::Once(_) => Some(HeaderFault::Unsupported),
            Field::Repeated => Some(HeaderFault::Repeated),
        },
    };
    if let Some(fault) = fault {
        return Err(Error::Header(Header::ProtocolVersion, fault));
    }
    // Over HTTP without a session, no other request can be cancelled.
    if method == Some(Method::Cancelled)
        && !matches!(carrier, Carrier::Http(_))
        && let Some(id) = cancelled(params, body)
    {
        *next = Next::Cancel(id);
    }
    Ok(())
}

/// Returns the id of the request that a cancellation names. MCP basic/patterns/cancellation
/// (basic/utilities/cancellation before 2026-07-28): a cancellation that names no running request is
/// ignored.
fn cancelled(params: Option<Item>, body: &[u8]) -> Option<Span> {
    let [id] = fields(params?, ["requestId"], body).ok()?;
    id.filter(|id| matches!(id.kind(), Json::String | Json::Number)).map(Item::span)
}

/// Opens a response from the client. Without a session no call waits for it: MCP 2025-11-25
/// basic/transports accepts it with 202, and modern clients send no responses.
fn answered(carrier: &Carrier<'_>, answer: Answer, body: &[u8], next: &mut Next) -> Result<(), Error> {
    let question = || {
        // The server's questions have integer ids from 1 on; 0 matches none of them.
        let number = answer.id.filter(|id| id.kind() == Json::Number)?.of(body).integer().ok()?;
        number.to::<u64>()
    };
    match carrier {
        Carrier::Line(_) | Carrier::Session(..) => *next = Next::Answer(question().unwrap_or(0), answer.outcome),
        Carrier::UnknownSession(_) => return Err(Error::UnknownSession),
        Carrier::Http(facts) => match facts.protocol_version {
            Field::Once(date) if Version::parse(date).is_some_and(|version| !version.is_modern()) => {}
            _ => return Err(Error::UnexpectedAnswer),
        },
    }
    Ok(())
}

/// The context in which a request is checked.
struct Opening<'a> {
    server: &'a Server<'a>,
    who: &'a Authenticated<'a>,
    carrier: &'a Carrier<'a>,
    body: &'a [u8],
    params: &'a Params,
    /// The span of `params`.
    object: Option<Item>,
    /// The method, if the protocol knows it.
    method: Option<Method>,
    batching: Batching,
}

impl Opening<'_> {
    fn request(&self, envelope: &Envelope, request: Request, opened: &mut Opened) -> Result<(), Error> {
        match self.era(envelope)? {
            // MCP 2025-03-26 basic/lifecycle: `initialize` MUST NOT be part of a batch.
            Era::Handshake | Era::Of(Version::V2026_07_28) if self.batching == Batching::Batched => Err(Error::Batched),
            Era::Handshake => {
                let reply = self.handshake(request)?;
                opened.version = reply.agreed();
                opened.next = Next::Reply(reply);
                Ok(())
            }
            Era::Of(version) => {
                opened.version = Some(version);
                self.method(request, version, &mut opened.next)
            }
        }
    }

    fn era(&self, envelope: &Envelope) -> Result<Era, Error> {
        if matches!(self.carrier, Carrier::UnknownSession(_)) && self.method != Some(Method::Initialize) {
            return Err(Error::UnknownSession);
        }
        envelope.check_params()?;
        self.params.check_meta()?;
        negotiate(self.method, &self.params.meta, self.carrier, self.body)
    }

    /// Returns the name of the method.
    fn name_of(&self, request: Request) -> Text<'_> {
        request.method.of(self.body).text().unwrap_or_default()
    }

    // MCP 2025-11-25 basic/lifecycle, "Version Negotiation": the requested version if the server
    // supports it, otherwise the newest legacy version. Never an unsupported version, and never a
    // modern one, which has no handshake.
    fn handshake(&self, request: Request) -> Result<Reply, Error> {
        let capabilities = self.look_up("capabilities", Json::Object, Param::Capabilities)?;
        self.look_up("clientInfo", Json::Object, Param::ClientInfo)?;
        let asked = self.look_up("protocolVersion", Json::String, Param::ProtocolVersion)?;
        let asked = Version::named(self.text(asked));
        let agreed = asked.filter(|version| !version.is_modern()).unwrap_or(Version::NEWEST_LEGACY);
        let client = Client::declared(capabilities.of(self.body));
        Ok(Reply::result(request.id, Shape::Initialize(agreed, client)))
    }

    fn method(&self, request: Request, version: Version, next: &mut Next) -> Result<(), Error> {
        let method = self.method.filter(|method| method.is_served(version, self.server));
        if version.is_modern()
            && let Carrier::Http(facts) | Carrier::UnknownSession(facts) = self.carrier
        {
            // MCP 2026-07-28 streamable-http: `Mcp-Name` mirrors the name or the URI in the
            // request.
            let mirrored = match method {
                Some(Method::CallTool | Method::GetPrompt) => self.params.name().ok(),
                Some(Method::ReadResource) => self.params.uri().ok(),
                _ => None,
            };
            agree(facts, self.name_of(request), mirrored.and_then(|item| item.of(self.body).text()))?;
        }
        let method = method.ok_or(Error::MethodNotFound(request.method.inner()))?;
        // MCP 2026-07-28 server/utilities/logging: an unknown level is -32602.
        if let Some(level) = self.params.meta.log_level()?
            && Level::named(self.text(level)).is_none()
        {
            return Err(Error::Param(Param::LogLevel));
        }
        let (operation, subject) = match method {
            Method::CallTool => self.tool(version)?,
            // Without its feature, a method is not in the image.
            Method::GetPrompt if cfg!(feature = "prompts") => self.prompt()?,
            Method::ReadResource => self.resource(version)?,
            Method::Complete if cfg!(feature = "completions") => self.completion()?,
            other => return self.other(other, request, version, next),
        };
        *next = match self.allowed(operation) {
            Ok(allowed) => Next::Call(Ticket::new(allowed, request.id, version, operation, self.object, subject)),
            Err(denied) => Next::Reply(Reply::forbidden(request.id, operation, denied)),
        };
        Ok(())
    }

    /// Opens a request that runs no code of the application.
    fn other(&self, method: Method, request: Request, version: Version, next: &mut Next) -> Result<(), Error> {
        let shape = match method {
            Method::Listen if cfg!(feature = "subscriptions") => return self.listen(request, next),
            Method::SetLevel | Method::Subscribe | Method::Unsubscribe => return self.wish(method, request, next),
            Method::List(kind) => {
                let cursor = self.params.cursor()?.map(|item| self.text(item));
                Shape::List(Page::find(self.server, kind, version, cursor).ok_or(Error::UnknownCursor)?)
            }
            Method::Discover => Shape::Discover,
            Method::Ping => Shape::Empty,
            // These are not served as requests, and calls were opened before.
            _ => return Err(Error::MethodNotFound(request.method.inner())),
        };
        *next = Next::Reply(Reply::result(request.id, shape));
        Ok(())
    }

    /// Opens a request that changes the state of a session. Over HTTP it needs a session.
    fn wish(&self, method: Method, request: Request, next: &mut Next) -> Result<(), Error> {
        let wish = match method {
            Method::SetLevel => {
                let level = self.look_up("level", Json::String, Param::Level)?;
                SessionChange::Level(Level::named(self.text(level)).ok_or(Error::Param(Param::Level))?)
            }
            Method::Subscribe if cfg!(feature = "subscriptions") => {
                let uri = self.params.uri()?;
                let known = self.resource_at(self.text(uri)).ok_or(Error::UnknownResourceLegacy(uri.inner()))?;
                // A notification tells when the resource changes, so it needs the same permissions
                // as reading.
                if let Err(denied) = self.allowed(known) {
                    let reply = Reply::forbidden(request.id, known, denied);
                    *next = Next::Reply(reply.about(MessageLabel::Method(method)));
                    return Ok(());
                }
                SessionChange::Subscribe(uri)
            }
            _ => SessionChange::Unsubscribe(self.params.uri()?),
        };
        match self.carrier {
            Carrier::Http(_) | Carrier::UnknownSession(_) => return Err(Error::NoSession),
            _ => *next = Next::Remember(wish, Reply::result(request.id, Shape::Empty)),
        }
        Ok(())
    }

    fn allowed(&self, operation: Operation) -> Result<Allowed, Denied<'static>> {
        let offers = self.server.offers();
        let (kind, index) = operation.entry();
        let needs = (0..).map_while(|number| offers.need(kind, index, number));
        authorize(self.who, needs, |number| offers.implied(number))
    }

    fn tool(&self, version: Version) -> Result<(Operation, Option<Item>), Error> {
        let name = self.params.name()?;
        let arguments = self.params.arguments()?;
        let tool = self.find(Kind::Tool, name).ok_or(Error::UnknownTool(name.inner()))?;
        if version.is_modern()
            && let Carrier::Http(facts) | Carrier::UnknownSession(facts) = self.carrier
        {
            self.params_agree(facts, tool, arguments)?;
        }
        Ok((Operation::Tool(tool), arguments))
    }

    /// Compares the headers that mirror arguments of the tool.
    fn params_agree(&self, facts: &HeadFacts<'_>, tool: usize, arguments: Option<Item>) -> Result<(), Error> {
        let offers = self.server.offers();
        (0..).map_while(|number| offers.mirror(tool, number)).try_for_each(|mirror| {
            // A repeated argument counts as a mismatch: the tool may read the one that was not
            // compared.
            let argument = at_path(arguments, mirror.path, self.body);
            let argument = argument.map_err(|Repeated| Error::Header(Header::Param, HeaderFault::Differs))?;
            param_agrees(facts.param(mirror.header), argument.map(|argument| argument.of(self.body)))
        })
    }

    fn prompt(&self) -> Result<(Operation, Option<Item>), Error> {
        let name = self.params.name()?;
        let arguments = self.params.arguments()?;
        let prompt = self.find(Kind::Prompt, name).ok_or(Error::UnknownPrompt(name.inner()))?;
        if let Some(arguments) = arguments {
            // MCP server/prompts, "Error Handling": arguments that do not fit are -32602.
            each_member(arguments, self.body, |name, _| self.declared((Kind::Prompt, prompt), name))?;
        }
        Ok((Operation::Prompt(prompt), arguments))
    }

    /// A resource with exactly this URI takes precedence over a template that matches it.
    fn resource(&self, version: Version) -> Result<(Operation, Option<Item>), Error> {
        let uri = self.params.uri()?;
        let operation = self.resource_at(self.text(uri)).ok_or(no_resource(uri.inner(), version))?;
        Ok((operation, Some(uri)))
    }

    /// Returns the operation that reads this URI.
    fn resource_at(&self, uri: Text<'_>) -> Option<Operation> {
        let offers = self.server.offers();
        let template = || offers.find(Kind::Template, uri).map(Operation::Template);
        offers.find(Kind::Resource, uri).map(Operation::Resource).or_else(template)
    }

    // MCP server/utilities/completion: the reference is the name of a prompt, or the URI of a
    // resource or a template.
    fn completion(&self) -> Result<(Operation, Option<Item>), Error> {
        let argument = self.look_up("argument", Json::Object, Param::Argument)?;
        let [name, value] = self.members(argument, ["name", "value"], Param::Argument)?;
        let (typed, _) = name.zip(value).ok_or(Error::Param(Param::Argument))?;
        let reference = self.look_up("ref", Json::Object, Param::Reference)?;
        let [of, name, uri] = self.members(reference, ["type", "name", "uri"], Param::Reference)?;
        let of = of.map(|item| self.text(item)).ok_or(Error::Param(Param::Reference))?;
        let kinds: &[Kind] = if of.is("ref/prompt") {
            &[Kind::Prompt]
        } else if of.is("ref/resource") {
            &[Kind::Template, Kind::Resource]
        } else {
            return Err(Error::Param(Param::Reference));
        };
        let key = if of.is("ref/prompt") { name } else { uri }.ok_or(Error::Param(Param::Reference))?;
        let found = kinds.iter().find_map(|&kind| Some((kind, self.find_exactly(kind, key)?)));
        let (kind, index) = found.ok_or(Error::UnknownReference)?;
        self.declared((kind, index), typed)?;
        self.context((kind, index))?;
        Ok((Operation::Complete(kind, index), Some(argument)))
    }

    /// Checks the values that the user has filled in for other arguments.
    // MCP 2025-06-18 server/utilities/completion: `context.arguments` maps names of arguments or
    // variables to their values.
    fn context(&self, entry: (Kind, usize)) -> Result<(), Error> {
        const ERROR: Error = Error::Param(Param::Context);
        let [context] = fields(self.object.ok_or(ERROR)?, ["context"], self.body).map_err(|Repeated| ERROR)?;
        let Some(context) = there(context) else { return Ok(()) };
        let [arguments] = fields(context, ["arguments"], self.body).map_err(|Repeated| ERROR)?;
        match (context.kind(), there(arguments)) {
            (Json::Object, None) => Ok(()),
            (Json::Object, Some(arguments)) if arguments.kind() == Json::Object => {
                each_member(arguments, self.body, |name, value| match value.kind() {
                    Json::String => self.declared(entry, name),
                    _ => Err(ERROR),
                })
            }
            _ => Err(ERROR),
        }
    }

    /// Checks that a prompt has an argument with this name, or a template has a variable with it.
    fn declared(&self, (kind, index): (Kind, usize), name: Item) -> Result<(), Error> {
        match self.server.offers().declares(kind, index, self.text(name)) {
            true => Ok(()),
            false if kind == Kind::Prompt => Err(Error::UnknownArgument(name.inner())),
            false => Err(Error::UnknownVariable(name.inner())),
        }
    }

    // MCP 2026-07-28 basic/patterns/subscriptions: the acknowledgement leaves out event types that
    // the client did not request or the server does not offer.
    fn listen(&self, request: Request, next: &mut Next) -> Result<(), Error> {
        // RFC 9110 §12.5.1: the server does not send a form that the client excludes, and a
        // subscription has only one form.
        if let Carrier::Http(facts) | Carrier::Session(facts, _) = self.carrier
            && !facts.accept.events()
        {
            return Err(Error::NotAcceptable);
        }
        let asked = self.look_up("notifications", Json::Object, Param::Notifications)?;
        let names = ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"];
        let [tools, prompts, resources, uris] =
            fields(asked, names, self.body).map_err(|Repeated| Error::Param(Param::Notifications))?;
        let features = self.server.offers().features();
        let [tools, prompts, resources, uris] = [tools, prompts, resources, uris].map(there);
        let uris = uris.filter(|_| features.subscribe && features.resources);
        if uris.is_some_and(|uris| !is_strings(uris, self.body)) {
            return Err(Error::Param(Param::Notifications));
        }
        let wants = |asked: Option<Item>, offered: bool| match asked.map(|item| item.of(self.body)) {
            Some(value) if value.kind() != Json::Bool => Err(Error::Param(Param::Notifications)),
            value => Ok(offered && features.list_changed && value.and_then(|value| value.bool()) == Some(true)),
        };
        let lists =
            [wants(tools, features.tools)?, wants(prompts, features.prompts)?, wants(resources, features.resources)?];
        let listen = Listen::new(request.id, lists, uris);
        let mut forbidden = None;
        listen.each_uri(self.body, |uri| {
            let denied = self.resource_at(uri).and_then(|known| Some((known, self.allowed(known).err()?)));
            forbidden = forbidden.take().or(denied);
        });
        *next = match forbidden {
            None => Next::Listen(listen),
            Some((known, denied)) => {
                let reply = Reply::forbidden(request.id, known, denied);
                Next::Reply(reply.about(MessageLabel::Method(Method::Listen)))
            }
        };
        Ok(())
    }

    /// Returns the members of an object with these names, which must be strings; `null` counts as
    /// absent.
    fn members<const N: usize>(
        &self,
        object: Item,
        names: [&str; N],
        param: Param,
    ) -> Result<[Option<Item>; N], Error> {
        let found = fields(object, names, self.body).map_err(|Repeated| Error::Param(param))?.map(there);
        let strings = found.into_iter().flatten().all(|item| item.kind() == Json::String);
        if strings { Ok(found) } else { Err(Error::Param(param)) }
    }

    /// Returns a member of `params` that must be present, unique and of this kind.
    fn look_up(&self, name: &str, kind: Json, param: Param) -> Result<Item, Error> {
        let params = self.object.ok_or(Error::Param(param))?;
        let [found] = fields(params, [name], self.body).map_err(|Repeated| Error::Param(param))?;
        found.filter(|item| item.kind() == kind).ok_or(Error::Param(param))
    }

    fn text(&self, item: Item) -> Text<'_> {
        item.of(self.body).text().unwrap_or_default()
    }

    fn find(&self, kind: Kind, key: Item) -> Option<usize> {
        self.server.offers().find(kind, self.text(key))
    }

    /// Finds the entry with exactly this key. A template does not match its expansions here.
    fn find_exactly(&self, kind: Kind, key: Item) -> Option<usize> {
        let (offers, key) = (self.server.offers(), self.text(key));
        (0..offers.len(kind)).find(|&index| offers.key(kind, index).is_some_and(|known| key.is(known)))
    }
}
