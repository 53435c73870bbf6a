//! `Accept` (RFC 9110 §12.5.1): the forms of a response that a client accepts.

/// The forms of a response that a client accepts: JSON, a stream of events, or either. A client
/// that sends no `Accept` accepts both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Accept {
    /// Whether a valid range was found.
    present: bool,
    json: Match,
    events: Match,
}

/// The preference in the most specific range that covers a media type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Match {
    specificity: Specificity,
    takes: bool,
}

/// The precision with which a range covers a media type. RFC 9110 §12.5.1: the most specific range
/// that covers a type counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Specificity {
    /// The range does not cover the type.
    #[default]
    None,
    /// `*/*`
    Any,
    /// `type/*`
    Type,
    /// `type/subtype`
    Subtype,
}

impl Accept {
    /// The client accepts every form: it sent no `Accept` field.
    // RFC 9110 §12.5.1: "A request without any Accept header field implies that the user agent will
    // accept any media type".
    pub const ANY: Self = Self { present: false, json: Match::NONE, events: Match::NONE };

    /// Records the value of an `Accept` field. Several fields are one list (RFC 9110 §5.3).
    ///
    /// A malformed range is ignored. Parameters other than the weight are not compared: clients
    /// write `charset=utf-8`, which is true of both forms.
    pub fn note(&mut self, value: &[u8]) {
        // MCP basic/transports: a client "MUST include an Accept header, listing both". Most
        // clients write exactly this value.
        if value == b"application/json, text/event-stream" {
            let both = Match { specificity: Specificity::Subtype, takes: true };
            *self = Self { present: true, json: both, events: both };
            return;
        }
        for element in split(value, b',') {
            let mut parts = split(element, b';').map(<[u8]>::trim_ascii);
            let range = parts.next().unwrap_or_default();
            if let (Some(range), Some(takes)) = (media_range(range), parts.find_map(weight).unwrap_or(Some(true))) {
                self.present = true;
                self.json.narrow(specificity(range, [b"application", b"json"]), takes);
                self.events.narrow(specificity(range, [b"text", b"event-stream"]), takes);
            }
        }
    }

    /// Returns whether the client accepts a response in JSON.
    pub const fn json(&self) -> bool {
        self.json.takes || !self.present
    }

    /// Returns whether the client accepts a stream of events.
    pub const fn events(&self) -> bool {
        self.events.takes || !self.present
    }
}

impl Match {
    const NONE: Self = Self { specificity: Specificity::None, takes: false };

    fn narrow(&mut self, specificity: Specificity, takes: bool) {
        if specificity > self.specificity {
            *self = Self { specificity, takes };
        } else if specificity == self.specificity && specificity != Specificity::None {
            self.takes |= takes;
        }
    }
}

/// Returns the type and the subtype of a range; each may be a star.
fn media_range(range: &[u8]) -> Option<[&[u8]; 2]> {
    let slash = range.iter().position(|&byte| byte == b'/')?;
    let (kind, rest) = range.split_at_checked(slash)?;
    let subtype = rest.get(1..)?;
    // RFC 9110 §12.5.1: a star as the type with another subtype is not a range.
    let good = !kind.is_empty() && !subtype.is_empty() && (kind != b"*" || subtype == b"*");
    good.then_some([kind, subtype])
}

/// Returns the precision with which a range covers the media type.
fn specificity([kind, subtype]: [&[u8]; 2], known: [&[u8]; 2]) -> Specificity {
    let [known_kind, known_subtype] = known;
    // RFC 9110 §8.3.1: type and subtype are case-insensitive.
    match (kind.eq_ignore_ascii_case(known_kind), subtype) {
        (true, b"*") => Specificity::Type,
        (true, subtype) if subtype.eq_ignore_ascii_case(known_subtype) => Specificity::Subtype,
        (false, b"*") if kind == b"*" => Specificity::Any,
        _ => Specificity::None,
    }
}

/// Returns whether the weight of a range is above zero; `Some(None)` for a malformed weight, `None`
/// for a parameter that is not a weight.
// RFC 9110 §12.4.2: `q` is case-insensitive; a weight of 0 means "not acceptable"; a weight has at
// most three decimals.
fn weight(parameter: &[u8]) -> Option<Option<bool>> {
    let (name, value) = parameter.split_at_checked(2)?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, decimals) = match value {
        [whole] => (*whole, &b""[..]),
        [whole, b'.', decimals @ ..] => (*whole, decimals),
        _ => return Some(None),
    };
    let digits = decimals.len() <= 3 && decimals.iter().all(u8::is_ascii_digit);
    let zeros = decimals.iter().all(|&digit| digit == b'0');
    Some(match whole {
        b'0' if digits => Some(!zeros),
        b'1' if digits && zeros => Some(true),
        _ => None,
    })
}

/// Splits `text` at separators that are not in a quoted string (RFC 9110 §5.6.4).
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |&byte| {
        quoted ^= byte == b'"' && !escaped;
        escaped = quoted && !escaped && byte == b'\\';
        byte == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_specific_range_that_covers_a_form_decides_whether_the_client_takes_it() {
        let (both, json, events, none) = ((true, true), (true, false), (false, true), (false, false));
        for (fields, taken) in [
            (&[][..], both),
            (&[""], both),
            (&[" , ,"], both),
            (&["*/*"], both),
            (&["application/json, text/event-stream"], both),
            (&["text/event-stream,application/json"], both),
            (&["application/json", "text/event-stream"], both),
            (&["application/json"], json),
            (&["Application/JSON"], json),
            (&["application/*"], json),
            (&["application/json;charset=utf-8"], json),
            (&["text/event-stream"], events),
            (&["TEXT/Event-Stream ; Q=0.001"], events),
            (&["text/*"], events),
            (&["text/html"], none),
            (&["text/event-streams, application/jsonx"], none),
            (&["application/json, */*;q=0"], json),
            (&["*/*;q=0, application/json"], json),
            (&["*/*, text/event-stream;q=0"], json),
            (&["text/*;q=0, text/event-stream"], events),
            (&["text/*, text/event-stream;q=0.000"], none),
            (&["application/json;q=0, text/html"], none),
            (&["application/json;q=0, application/json;v=2"], json),
            (&["*/*;q=0.1, application/json;q=0"], events),
            (&["*/*;q=0"], none),
            (&["*"], both),
            (&["*/json"], both),
            (&["application/"], both),
            (&["application/json;q=2"], both),
            (&["application/json;q=0.0001, text/event-stream"], events),
            (&["application/json;q=, text/event-stream"], events),
            (&["text/html;a=\",application/json\", text/event-stream"], events),
            (&["text/html;a=\"\\\",application/json,\", text/event-stream"], events),
            (&["application/json;a=\"x;q=0\""], json),
            (&["application/json;q=1.000;level=1"], json),
        ] {
            let mut accept = Accept::default();
            fields.iter().for_each(|field| accept.note(field.as_bytes()));
            assert_eq!((accept.json(), accept.events()), taken, "{fields:?}");
        }
    }
}
