//! The parts of a request head that the engine reads.

use super::Accept;
use crate::limits;

/// The method of an HTTP request, as far as MCP distinguishes methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Method {
    /// `POST`: carries a message.
    Post,
    /// `GET`: opens or resumes the stream of a legacy session.
    Get,
    /// `DELETE`: ends a legacy session.
    Delete,
    /// Anything else.
    Other,
}

/// A header field that may occur only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Field<'h> {
    /// The field is absent.
    #[default]
    Absent,
    /// The field's value, without the white space around it (RFC 9110 §5.5).
    Once(&'h [u8]),
    /// The field occurs more than once: two recipients could pick different values.
    Repeated,
}

/// The method and the header fields that the engine reads of a request. An adapter creates this
/// value and calls [`note`](HeadFacts::note) for each field.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeadFacts<'h> {
    /// The method.
    pub verb: Method,
    /// Whether the connection is known to use TLS. If it is `false`, a proxy in front may still use
    /// TLS.
    pub is_tls: bool,
    /// `Host`, or the `:authority` of HTTP/2.
    pub host: Field<'h>,
    /// `Origin`: sent by browsers, names the origin of the calling page.
    pub origin: Field<'h>,
    /// `Accept`: the forms of a response that the client accepts.
    pub accept: Accept,
    /// `Content-Type`
    pub content_type: Field<'h>,
    /// `Authorization`
    pub authorization: Field<'h>,
    /// `X-Functions-Key`: an API key, under the name that function platforms use.
    pub key: Field<'h>,
    /// `MCP-Protocol-Version`
    pub protocol_version: Field<'h>,
    /// `Mcp-Session-Id`
    pub session: Field<'h>,
    /// `Last-Event-ID`
    pub last_event: Field<'h>,
    /// `Mcp-Method`
    pub mcp_method: Field<'h>,
    /// `Mcp-Name`
    pub mcp_name: Field<'h>,
    /// The `Mcp-Param-…` fields, by the part of their names after the prefix.
    params: [(&'h [u8], Field<'h>); limits::MIRRORED],
    /// Set if the request has more of these fields than there are slots.
    more_params: bool,
}

impl<'h> HeadFacts<'h> {
    /// Creates a head without fields.
    pub fn new(method: &[u8]) -> Self {
        Self {
            // RFC 9110 §9.1: method names are case-sensitive.
            verb: match method {
                b"POST" => Method::Post,
                b"GET" => Method::Get,
                b"DELETE" => Method::Delete,
                _ => Method::Other,
            },
            is_tls: false,
            host: Field::Absent,
            origin: Field::Absent,
            accept: Accept::default(),
            content_type: Field::Absent,
            authorization: Field::Absent,
            key: Field::Absent,
            protocol_version: Field::Absent,
            session: Field::Absent,
            last_event: Field::Absent,
            mcp_method: Field::Absent,
            mcp_name: Field::Absent,
            params: [(b"", Field::Absent); limits::MIRRORED],
            more_params: false,
        }
    }

    /// Records a header field; fields that the engine does not read are ignored.
    pub fn note(&mut self, name: &'h [u8], value: &'h [u8]) {
        // The names differ in length or in their first letter, so each field needs at most one
        // comparison.
        let (known, field): (&[u8], _) = match name.len() {
            4 => (b"host", &mut self.host),
            6 if name.eq_ignore_ascii_case(b"accept") => return self.accept.note(trim(value)),
            6 => (b"origin", &mut self.origin),
            8 => (b"mcp-name", &mut self.mcp_name),
            10 => (b"mcp-method", &mut self.mcp_method),
            12 => (b"content-type", &mut self.content_type),
            13 if name.first().is_some_and(|first| first.eq_ignore_ascii_case(&b'a')) => {
                (b"authorization", &mut self.authorization)
            }
            13 => (b"last-event-id", &mut self.last_event),
            14 => (b"mcp-session-id", &mut self.session),
            15 => (b"x-functions-key", &mut self.key),
            20 => (b"mcp-protocol-version", &mut self.protocol_version),
            _ => return self.note_param(name, value),
        };
        // RFC 9110 §5.1: field names are case-insensitive.
        if name.eq_ignore_ascii_case(known) {
            *field = match field {
                Field::Absent => Field::Once(trim(value)),
                _ => Field::Repeated,
            };
        } else {
            self.note_param(name, value);
        }
    }

    /// Records the authority in the request's target, after all fields were recorded. It replaces
    /// `Host` (RFC 9112 §3.2.2, RFC 9113 §8.3.1). If the two differ, another recipient may route
    /// the request to another server, so the host then counts as repeated.
    pub fn target(&mut self, authority: &'h [u8]) {
        self.host = match self.host {
            Field::Absent => Field::Once(authority),
            Field::Once(host) if host.eq_ignore_ascii_case(authority) => Field::Once(authority),
            Field::Once(_) | Field::Repeated => Field::Repeated,
        };
    }

    fn note_param(&mut self, name: &'h [u8], value: &'h [u8]) {
        let Some((prefix, name)) = name.split_at_checked(PARAM.len()) else {
            return;
        };
        if !prefix.eq_ignore_ascii_case(PARAM) {
            return;
        }
        // A slot is free if its field is absent. The name cannot tell, because `Mcp-Param-` gives
        // an empty name.
        let known = |(of, field): &&mut (&[u8], Field<'_>)| *field == Field::Absent || of.eq_ignore_ascii_case(name);
        match self.params.iter_mut().find(known) {
            Some((of, field @ Field::Absent)) => (*of, *field) = (name, Field::Once(trim(value))),
            Some((_, field)) => *field = Field::Repeated,
            None => self.more_params = true,
        }
    }

    /// Returns the field `Mcp-Param-{name}`. If there were too many fields to store, a field that
    /// was not stored counts as repeated, because it may have been present.
    pub fn param(&self, name: &str) -> Field<'h> {
        let found = self.params.iter().find(|(of, _)| of.eq_ignore_ascii_case(name.as_bytes()));
        match found {
            Some((_, field)) => *field,
            None if self.more_params => Field::Repeated,
            None => Field::Absent,
        }
    }
}

const PARAM: &[u8] = b"mcp-param-";

// RFC 9110 §5.5: the spaces and tabs around a value are not part of it.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
