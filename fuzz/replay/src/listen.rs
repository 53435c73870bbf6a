//! Checks subscriptions, the filters and the messages sent for them, against a model over
//! [`Document`].

use crate::application::OFFERS;
use crate::document::Document;
use crate::envelope::{Model, Verdict};
use crate::schema;
use attache_core::auth::{Access, Authenticated};
use attache_core::era::Version;
use attache_core::exchange::{Carrier, Listen, Next, open};
use attache_core::json::{Full, Sink, Slice, without_mark};
use attache_core::mcp::{Server, list_changed, updated};
use attache_core::tool::{Catalogue, Features, Kind, Member};

/// Checks that the server honours the part of any filter that it can serve, and no other.
///
/// The first byte says which features the server lacks, bit by bit (`0` lacks none). The id comes
/// up to the first line feed, and then the filter; both are put into a request as they are.
///
/// # Panics
/// If another part is honoured.
pub fn listen(input: &[u8]) {
    let Some((bits, rest)) = input.split_first() else { return };
    let mut lines = rest.splitn(2, |byte| *byte == b'\n');
    let (Some(id), Some(filter)) = (lines.next(), lines.next()) else { return };
    let body = [
        br#"{"jsonrpc":"2.0","method":"subscriptions/listen","id":"#,
        id,
        br#","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"notifications":"#,
        filter,
        b"}}",
    ]
    .concat();
    let offers = Partial { bits: *bits };
    let server = Server::new("demo", "1.0", &offers);
    let who = Authenticated::anonymous(&Access::Anonymous);
    let next = open(&server, &who, Carrier::Line(None), &body).next;
    let expected = Wanted::read(&body, offers.features());
    match (&next, expected) {
        (Next::Listen(listen), Some(wanted)) => honoured(listen, &server, &body, &wanted),
        (Next::Listen(_), None) => panic!("honoured, but it is malformed or not served: {}", body.escape_ascii()),
        (_, None) => {}
        // The id and the filter may smuggle in members that turn the text into another message.
        (other, Some(_)) => {
            let alone = [id, filter].iter().all(|text| Document::ours(text, |_| {}).is_ok());
            assert!(!alone, "refused, but it is good: {} gives {other:?}", body.escape_ascii());
        }
    }
}

/// A server with only the features that the bits select.
#[derive(Debug)]
struct Partial {
    bits: u8,
}

impl Catalogue for Partial {
    fn len(&self, kind: Kind) -> usize {
        OFFERS.len(kind)
    }

    fn key(&self, kind: Kind, index: usize) -> Option<&str> {
        OFFERS.key(kind, index)
    }

    fn members<'s>(&'s self, kind: Kind, index: usize, take: &mut dyn FnMut(Member<'s>)) {
        OFFERS.members(kind, index, take);
    }

    fn features(&self) -> Features {
        let has = |bit: u8| self.bits >> bit & 1 == 0;
        Features {
            list_changed: has(0),
            subscribe: has(1),
            tools: has(2),
            prompts: has(3),
            // Digits differ in four bits only.
            resources: has(6),
            ..Features::default()
        }
    }
}

/// The request as the model reads it.
#[derive(Debug)]
struct Wanted {
    id: Document,
    lists: [bool; 3],
    uris: Option<Vec<String>>,
}

impl Wanted {
    /// Returns `None` if nothing can be honoured: the message is another request, malformed, or not
    /// served.
    fn read(body: &[u8], features: Features) -> Option<Self> {
        let body = without_mark(body);
        let document = Document::ours(body, |_| {}).ok()?;
        let Model::Known(Verdict::Request(id, method), Ok(())) = Model::read(body) else { return None };
        (method == "subscriptions/listen" && (features.list_changed || features.subscribe)).then_some(())?;
        let params = document.get("params")?;
        let filter = only(params, "notifications")??;
        let meta = only(params, "_meta")??;
        only(meta, "io.modelcontextprotocol/protocolVersion")??;
        only(meta, "io.modelcontextprotocol/clientCapabilities")??;
        matches!(filter, Document::Object(_)).then_some(())?;
        let list = |name, offered: bool| match only(filter, name)? {
            None => Some(false),
            Some(Document::Bool(asked)) => Some(*asked && offered && features.list_changed),
            Some(_) => None,
        };
        let lists = [
            list("toolsListChanged", features.tools)?,
            list("promptsListChanged", features.prompts)?,
            list("resourcesListChanged", features.resources)?,
        ];
        let uris = match only(filter, "resourceSubscriptions")? {
            Some(_) if !(features.subscribe && features.resources) => None,
            None => None,
            Some(Document::Array(uris)) => {
                Some(uris.iter().map(|uri| uri.string().map(str::to_owned)).collect::<Option<_>>()?)
            }
            Some(_) => return None,
        };
        Some(Self { id, lists, uris })
    }
}

/// Returns the member with this name, if there is one, and `None` if there are two.
fn only<'a>(object: &'a Document, name: &str) -> Option<Option<&'a Document>> {
    let Document::Object(members) = object else { return Some(None) };
    let mut values = members.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => None,
        (value, None) => Some(value),
    }
}

fn honoured(listen: &Listen, server: &Server<'_>, body: &[u8], wanted: &Wanted) {
    let [tools, prompts, resources] = wanted.lists;
    let kinds =
        [(Kind::Tool, tools), (Kind::Prompt, prompts), (Kind::Resource, resources), (Kind::Template, resources)];
    for (kind, expected) in kinds {
        assert_eq!(listen.wants(kind), expected, "{kind:?}");
    }
    let uris = wanted.uris.as_deref().unwrap_or_default();
    for uri in uris {
        assert!(listen.wants_uri(body, uri), "{uri:?}");
        let longer = format!("{uri}x");
        assert_eq!(listen.wants_uri(body, &longer), uris.contains(&longer));
    }
    for uri in ["", "demo://plain", "a", "\u{0}"] {
        assert_eq!(listen.wants_uri(body, uri), uris.iter().any(|known| known == uri), "{uri:?}");
    }

    let raw = listen.id(body);
    assert_eq!(Document::ours(raw, |_| {}).as_ref(), Ok(&wanted.id));
    let acknowledged = told(raw, "SubscriptionsAcknowledgedNotification", |out| listen.acknowledge(body, out));
    assert_eq!(acknowledged.at(&["params", "notifications"]), Some(&honoured_part(wanted)));
    let end = told(raw, "SubscriptionsListenResultResponse", |out| listen.end(server, body, out));
    assert_eq!(end.get("id"), Some(&wanted.id));
    assert_eq!(tag(&end, "result"), Some(&wanted.id));
    let mut messages = vec![acknowledged];
    for (kind, definition) in [
        (Kind::Tool, "ToolListChangedNotification"),
        (Kind::Prompt, "PromptListChangedNotification"),
        (Kind::Resource, "ResourceListChangedNotification"),
        (Kind::Template, "ResourceListChangedNotification"),
    ] {
        messages.push(told(raw, definition, |out| list_changed(kind, Some(raw), out)));
    }
    for uri in uris.iter().map(String::as_str).chain([""]) {
        let message = told(raw, "ResourceUpdatedNotification", |out| updated(uri, Some(raw), out));
        assert_eq!(message.at(&["params", "uri"]).and_then(Document::string), Some(uri));
        messages.push(message);
    }
    for message in messages {
        assert_eq!(tag(&message, "params"), Some(&wanted.id), "{message:?}");
    }
    let refusal = listen.refuse();
    let mut sent = vec![0; body.len() + 512];
    let len = refusal.emit(server, body, b"").fill(&mut sent);
    schema::conforms(Version::V2026_07_28, "JSONRPCErrorResponse", &sent[..len]);
}

/// Returns the part of the request that the server must acknowledge, in our order.
fn honoured_part(wanted: &Wanted) -> Document {
    let names = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
    let lists = names.into_iter().zip(wanted.lists).filter(|(_, wanted)| *wanted);
    let lists = lists.map(|(name, _)| (name.to_owned(), Document::Bool(true)));
    let uris = wanted.uris.iter().map(|uris| {
        ("resourceSubscriptions".to_owned(), Document::Array(uris.iter().cloned().map(Document::String).collect()))
    });
    Document::Object(lists.chain(uris).collect())
}

fn tag<'a>(message: &'a Document, within: &str) -> Option<&'a Document> {
    message.at(&[within, "_meta", "io.modelcontextprotocol/subscriptionId"])
}

/// Checks a message as it is written: whole or not at all, valid by the schema, on one line, with
/// the id as sent.
fn told(id: &[u8], definition: &'static str, put: impl Fn(&mut dyn Sink) -> Result<(), Full>) -> Document {
    let mut buffer = vec![0; 1 << 17];
    let mut out = Slice::new(&mut buffer);
    assert_eq!(put(&mut out), Ok(()));
    let bytes = out.written().to_vec();
    for size in [0, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(put(&mut Slice::new(&mut vec![0; size])), Err(Full));
    }
    // The message is one line on a connection, and one `data:` line in a stream (a carriage return
    // also ends such a line).
    assert!(!bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')), "{}", bytes.escape_ascii());
    let tagged = [br#""io.modelcontextprotocol/subscriptionId":"#, id].concat();
    assert!(bytes.windows(tagged.len()).any(|window| window == tagged), "{}", bytes.escape_ascii());
    schema::conforms(Version::V2026_07_28, definition, &bytes);
    Document::ours(&bytes, |_| {}).unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()))
}
