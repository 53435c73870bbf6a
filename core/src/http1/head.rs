//! Reads the head of a request: collects it in a buffer of the caller and parses it once it is
//! complete.

use super::Fault;
use crate::http::{Field, HeadFacts};

/// Collects request heads, one after the other.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Heads<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

/// A parsed request head.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'h> {
    /// The header fields that the engine reads.
    pub facts: HeadFacts<'h>,
    /// The path, without a query.
    pub path: &'h str,
    /// The framing of the body.
    pub framing: Framing,
    /// Whether the connection stays open for another request.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
}

/// The framing of a body: how its end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Framing {
    /// `Content-Length`: the number of bytes, 0 without a body.
    Length(usize),
    /// Chunked transfer coding: the body ends with its last chunk.
    Chunked,
}

impl<'b> Heads<'b> {
    /// Creates a collector for heads of up to `buffer.len()` bytes.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Discards the collected bytes, for the next request.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes bytes from the front of `input` up to the end of the head, and advances `input` past
    /// them. Returns `true` when the head is complete.
    ///
    /// # Errors
    /// [`Fault::HeadTooLarge`]; [`Fault::Head`] for a line that ends without a carriage return. RFC
    /// 9112 §2.2 lets a recipient accept such a line ending, but not every proxy does.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<bool, Fault> {
        while !input.is_empty() {
            let end = input.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(input.len(), |end| end.saturating_add(1));
            let (line, rest) = input.split_at_checked(taken).unwrap_or((input, &[]));
            *input = rest;
            self.push(line)?;
            if end.is_none() {
                continue;
            }
            match self.collected() {
                // RFC 9112 §2.2: empty lines before the request line are ignored.
                b"\r\n" => self.len = 0,
                [.., b'\r', b'\n', b'\r', b'\n'] => return Ok(true),
                [.., b'\r', b'\n'] => {}
                _ => return Err(Fault::Head),
            }
        }
        Ok(false)
    }

    /// Whether no byte of a head was collected yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let free = self.buffer.get_mut(self.len..).unwrap_or_default();
        if bytes.len() > free.len() {
            return Err(Fault::HeadTooLarge);
        }
        for (slot, byte) in free.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        self.len = self.len.saturating_add(bytes.len());
        Ok(())
    }

    fn collected(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Parses the head, once it is complete.
    ///
    /// # Errors
    /// Every [`Fault`] except those of a body.
    pub fn request(&self) -> Result<Request<'_>, Fault> {
        let (line, mut rest) = split_line(self.collected()).ok_or(Fault::Head)?;
        let (method, target) = request_line(line)?;
        let mut wire = Wire::default();
        let mut facts = HeadFacts::new(method);
        // The empty line ends the head.
        while let Some((line, behind)) = split_line(rest).filter(|(line, _)| !line.is_empty()) {
            let (name, value) = field(line).ok_or(Fault::Head)?;
            facts.note(name, value);
            wire.note(name, value)?;
            rest = behind;
        }
        // RFC 9112 §3.2: "MUST respond with a 400 … to any HTTP/1.1 request message that lacks a
        // Host header field and to any request message that contains more than one".
        let Field::Once(_) = facts.host else {
            return Err(Fault::Host);
        };
        let (authority, path) = split_target(target);
        if let Some(authority) = authority {
            facts.target(authority.as_bytes());
        }
        if facts.host == Field::Repeated {
            return Err(Fault::Host);
        }
        let framing = wire.framing()?;
        Ok(Request { facts, path, framing, keep_alive: !wire.close, expects_continue: wire.expects_continue })
    }
}

/// Splits `text` after its first line, which must end with a carriage return and a line feed; the
/// line ending is removed.
fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = text.split_at_checked(end)?;
    Some((line.strip_suffix(b"\r")?, rest.get(1..)?))
}

/// Parses the request line (RFC 9112 §3): method, target and version, separated by single spaces.
/// Returns the method and the target.
fn request_line(line: &[u8]) -> Result<(&[u8], &str), Fault> {
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(Fault::Head);
    };
    let target = core::str::from_utf8(target).unwrap_or_default();
    if !is_token(method) || target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::Head);
    }
    match version {
        b"HTTP/1.1" => Ok((method, target)),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Fault::Version)
        }
        _ => Err(Fault::Head),
    }
}

/// Splits a request target: returns the authority of a target in absolute form (RFC 9112 §3.2.2), and
/// the path of any target without its query.
fn split_target(target: &str) -> (Option<&str>, &str) {
    // Bytes are searched, because the search in strings of the library can panic for all that a linker knows.
    let cut = |text: &'_ str, byte: u8| text.bytes().position(|other| other == byte).unwrap_or(text.len());
    let front = target.get(..cut(target, b'?')).unwrap_or_default();
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| front.get(..scheme.len()).is_some_and(|front| front.eq_ignore_ascii_case(scheme)));
    let Some(rest) = scheme.and_then(|scheme| front.get(scheme.len()..)) else {
        return (None, front);
    };
    let (authority, path) = rest.split_at_checked(cut(rest, b'/')).unwrap_or((rest, ""));
    // RFC 9112 §3.2.1: an empty path is a slash.
    (Some(authority), if path.is_empty() { "/" } else { path })
}

/// Parses a field line (RFC 9112 §5): a name, a colon directly after it, and a value. A folded line
/// begins with white space, so it has no valid name and is refused.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, rest) = line.split_at_checked(colon)?;
    let value = rest.get(1..)?;
    // RFC 9110 §5.5: no control characters except the tab.
    let plain = value.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7F);
    (is_token(name) && plain).then_some((name, value))
}

/// Whether `text` is a token (RFC 9110 §5.6.2).
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The header fields that concern framing and the connection.
#[derive(Default)]
struct Wire {
    length: Option<usize>,
    chunked: bool,
    close: bool,
    expects_continue: bool,
}

impl Wire {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            // RFC 9112 §6.3: a recipient may accept a list of equal lengths; this one does not.
            let before = self.length.replace(decimal(value).ok_or(Fault::Framing)?);
            if before.is_some() { Err(Fault::Framing) } else { Ok(()) }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if core::mem::replace(&mut self.chunked, true) {
                return Err(Fault::Framing);
            }
            if value.eq_ignore_ascii_case(b"chunked") { Ok(()) } else { Err(Fault::Coding) }
        } else if name.eq_ignore_ascii_case(b"connection") {
            let mut options = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            self.close |= options.any(|option| option.eq_ignore_ascii_case(b"close"));
            Ok(())
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            if self.expects_continue { Ok(()) } else { Err(Fault::Expectation) }
        } else {
            Ok(())
        }
    }

    // RFC 9112 §6.3: a message with both "might indicate an attempt to perform request smuggling";
    // a server MAY reject it.
    const fn framing(&self) -> Result<Framing, Fault> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Fault::Framing),
            (None, true) => Ok(Framing::Chunked),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, false) => Ok(Framing::Length(0)),
        }
    }
}

/// Parses a `Content-Length` value (RFC 9110 §8.6): one or more digits and nothing else. A value
/// that does not fit into `usize` becomes `usize::MAX`.
fn decimal(text: &[u8]) -> Option<usize> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |number: usize, byte: &u8| number.saturating_mul(10).saturating_add(usize::from(byte & 0xF));
    Some(text.iter().fold(0, digit))
}
