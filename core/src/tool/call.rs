//! The input of a handler: the operation, its parameters and its caller.

use super::{Arguments, Catalogue, Kind, Level, template};
use crate::auth::{Authenticated, Need};
use crate::era::Version;
use crate::json::{Fields, Item, Kind as Json, Reader, Repeated, Text, Value};

/// The operation that a request calls, with the number of its entry in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Operation {
    /// `tools/call` of a tool.
    Tool(usize),
    /// `prompts/get` of a prompt.
    Prompt(usize),
    /// `resources/read` of a resource.
    Resource(usize),
    /// `resources/read` of a URI that fits a template.
    Template(usize),
    /// `completion/complete` for an argument of a prompt or a variable of a template.
    Complete(Kind, usize),
}

impl Operation {
    /// Returns the kind and the number of the entry in the catalogue.
    pub const fn entry(self) -> (Kind, usize) {
        match self {
            Self::Tool(index) => (Kind::Tool, index),
            Self::Prompt(index) => (Kind::Prompt, index),
            Self::Resource(index) => (Kind::Resource, index),
            Self::Template(index) => (Kind::Template, index),
            Self::Complete(kind, index) => (kind, index),
        }
    }
}

/// Returns the scopes that `operation` needs, for the challenge to a caller that lacks one of them
/// (MCP basic/authorization).
pub fn scopes(offers: &dyn Catalogue, operation: Operation) -> impl Iterator<Item = &str> {
    let (kind, index) = operation.entry();
    let needs = (0..).map_while(move |number| offers.need(kind, index, number));
    needs.filter_map(|need| match need {
        Need::Scope(scope) => Some(scope),
        Need::Role(_) => None,
    })
}

/// One call: the operation, its parameters and its caller.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Call<'b> {
    operation: Operation,
    version: Version,
    /// `params` of the request.
    params: Option<Value<'b>>,
    /// The arguments, the URI, or the argument to be completed.
    subject: Option<Value<'b>>,
    who: &'b Authenticated<'b>,
}

impl<'b> Call<'b> {
    pub(crate) const fn new(
        operation: Operation,
        version: Version,
        params: Option<Value<'b>>,
        subject: Option<Value<'b>>,
        who: &'b Authenticated<'b>,
    ) -> Self {
        Self { operation, version, params, subject, who }
    }

    /// Returns the operation.
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// The revision of the protocol that the caller speaks.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The arguments of a tool or a prompt; none for other calls.
    pub const fn arguments(&self) -> Arguments<'b> {
        match self.operation {
            Operation::Tool(_) | Operation::Prompt(_) => Arguments::new(self.subject),
            _ => Arguments::new(None),
        }
    }

    /// Returns the URI of a resource to read; it is empty for other calls.
    pub fn read(&self) -> Read<'b> {
        let uri = match self.operation {
            Operation::Resource(_) | Operation::Template(_) => self.subject.and_then(|uri| uri.text()),
            _ => None,
        };
        Read { uri: uri.unwrap_or_default() }
    }

    /// Returns the argument or variable to complete; it is empty for other calls.
    pub fn completing(&self) -> Completing<'b> {
        let mut completing =
            Completing { argument: Text::default(), value: Text::default(), context: Arguments::new(None) };
        if let Operation::Complete(..) = self.operation {
            // The engine has checked that both are strings before it made the call.
            let _ = Arguments::new(self.subject).each(|name, value| {
                let text = value.text().unwrap_or_default();
                if name.is("name") {
                    completing.argument = text;
                } else if name.is("value") {
                    completing.value = text;
                }
                Ok(true)
            });
            let context = self.params.and_then(|params| params.member("context")?.member("arguments"));
            completing.context = Arguments::new(context.filter(|context| context.kind() == Json::Object));
        }
        completing
    }

    /// The `_meta` object of the request.
    pub fn metadata(&self) -> Option<Value<'b>> {
        unique(self.params?, "_meta")
    }

    /// The token for progress notifications, as the caller wrote it.
    #[cfg(feature = "embassy")]
    pub(crate) fn progress_token(&self) -> Option<&'b [u8]> {
        token(unique(self.metadata()?, PROGRESS_TOKEN))
    }

    /// The least severe level of log messages that the caller wants; `None` if it wants none.
    #[cfg(feature = "embassy")]
    pub(crate) fn log_level(&self) -> Option<Level> {
        level(unique(self.metadata()?, LOG_LEVEL))
    }

    /// Returns the metadata and options of the request, found in one pass over it. Duplicate
    /// members are treated as absent, because two parsers could pick different ones.
    pub fn request_meta(&self) -> RequestMeta<'b> {
        let Some(params) = self.params else {
            return RequestMeta::default();
        };
        let (mut members, mut keys) = (Fields::<3>::new(), Fields::<3>::new());
        let inside = |index, reader: &mut Reader<'_>| match index {
            META => keys.read(reader, &KEYS, |_, _| Ok(None)),
            _ => Ok(None),
        };
        // It was read once already, with the message.
        let _ = members.read(&mut params.reader(), &MEMBERS, inside);
        let value = |found: Result<Option<Item>, Repeated>| found.ok().flatten().map(|item| item.of(params.raw()));
        let [metadata, input_responses, request_state] =
            [META, RESPONSES, STATE].map(|index| value(members.get(index)));
        let [token, level, client_capabilities] = [TOKEN, LEVEL, CAPABILITIES].map(|index| value(keys.get(index)));
        RequestMeta {
            metadata,
            progress_token: self::token(token),
            log_level: self::level(level),
            client_capabilities,
            input_responses,
            request_state,
        }
    }

    /// Returns the arguments, the URI, or the argument to be completed.
    #[cfg(feature = "seal")]
    pub(super) const fn subject(&self) -> Option<Value<'b>> {
        self.subject
    }

    /// Returns the caller.
    pub const fn who(&self) -> &'b Authenticated<'b> {
        self.who
    }
}

/// The metadata and options of a request, apart from its name and arguments.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct RequestMeta<'b> {
    /// The metadata of the request (`_meta`): an object.
    pub metadata: Option<Value<'b>>,
    /// The token for progress notifications, as the caller wrote it.
    pub progress_token: Option<&'b [u8]>,
    /// The least severe level of log messages that the caller wants; `None` if it wants none.
    pub log_level: Option<Level>,
    /// The client's capabilities for this request: an object in the shape of `ClientCapabilities`.
    pub client_capabilities: Option<Value<'b>>,
    /// The client's answers to the questions of an earlier try of this request (MCP 2026-07-28
    /// basic/patterns/mrtr): an object.
    pub input_responses: Option<Value<'b>>,
    /// The state that an earlier try of this request gave to the client: a string, if the client is
    /// correct. The client may have changed it: check it before you trust it.
    pub request_state: Option<Value<'b>>,
}

/// Members of `params`.
const MEMBERS: [&str; 3] = ["_meta", "inputResponses", "requestState"];
const META: usize = 0;
const RESPONSES: usize = 1;
const STATE: usize = 2;

/// Keys of `_meta`.
const KEYS: [&str; 3] = [PROGRESS_TOKEN, LOG_LEVEL, "io.modelcontextprotocol/clientCapabilities"];
const PROGRESS_TOKEN: &str = "progressToken";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const TOKEN: usize = 0;
const LEVEL: usize = 1;
const CAPABILITIES: usize = 2;

fn token(value: Option<Value<'_>>) -> Option<&[u8]> {
    value.filter(|token| matches!(token.kind(), Json::String | Json::Number)).map(|token| token.raw())
}

fn level(value: Option<Value<'_>>) -> Option<Level> {
    value?.text().and_then(Level::named)
}

/// Returns the value of the member with this name, if `object` has exactly one.
#[inline(never)]
pub(super) fn unique<'b>(object: Value<'b>, name: &str) -> Option<Value<'b>> {
    let mut reader = object.reader();
    reader.enter_object().ok()??;
    let mut found = None;
    while let Some((key, item)) = reader.member().ok()? {
        if key.is(name) && found.replace(item).is_some() {
            return None;
        }
    }
    found.map(|item| item.of(object.raw()))
}

/// A request to read a resource.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Read<'b> {
    uri: Text<'b>,
}

impl<'b> Read<'b> {
    /// The requested URI.
    pub const fn uri(&self) -> Text<'b> {
        self.uri
    }

    /// Returns the value of a variable of `template` in the URI, still percent-encoded.
    pub fn variable(&self, template: &str, name: &str) -> Option<Text<'b>> {
        template::variable(template, self.uri, name)
    }
}

/// An argument that a person is typing.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Completing<'b> {
    argument: Text<'b>,
    value: Text<'b>,
    context: Arguments<'b>,
}

impl<'b> Completing<'b> {
    /// The name of the argument or variable.
    pub const fn argument(&self) -> Text<'b> {
        self.argument
    }

    /// Returns the text that the person has typed so far.
    pub const fn value(&self) -> Text<'b> {
        self.value
    }

    /// The other arguments or variables that the person has filled in (`context.arguments`). All of them are strings.
    pub const fn context(&self) -> Arguments<'b> {
        self.context
    }

    /// Returns the value that the person has filled in for another argument or variable.
    pub fn resolved(&self, name: &str) -> Option<Text<'b>> {
        self.context.value()?.member(name)?.text()
    }
}
