//! The readings of a resource URI that a policy judges. Servers decode and resolve URIs in
//! different ways, so a policy judges each way in which a server could read one.

/// The two readings of a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Readings {
    /// Normalized after RFC 3986 §6.2.2: case, escapes of unreserved characters, and dot segments.
    pub(super) normal: String,
    /// All escapes decoded, backslashes read as slashes, then dot segments removed: the reading of a
    /// server that opens a file.
    pub(super) decoded: String,
}

impl Readings {
    pub(super) fn of(uri: &str) -> Self {
        // RFC 3986 §3.5: a fragment does not change which resource is identified.
        let uri = uri.split_once('#').map_or(uri, |(uri, _)| uri);
        let normal = without_dots(&lower_origin(&normal_escapes(uri)), &['?']);
        let decoded = without_dots(&lower_origin(&decoded(uri)), &[]);
        Self { normal, decoded }
    }
}

/// RFC 3986 §6.2.2.1 and §6.2.2.2: escapes of unreserved characters are decoded, and the digits of
/// the others are in upper case.
pub(super) fn normal_escapes(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    each_byte(text.as_bytes(), |byte, digits| match digits {
        Some(_) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(byte),
        Some(digits) => out.extend([b'%', digits[0].to_ascii_uppercase(), digits[1].to_ascii_uppercase()]),
        None => out.push(byte),
    });
    text_of(out)
}

/// Decodes all escapes, repeatedly, because some servers decode twice. Backslashes become slashes.
pub(super) fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let mut out = Vec::with_capacity(text.len());
        each_byte(text.as_bytes(), |byte, _| out.push(byte));
        let next = text_of(out);
        if next == text {
            break;
        }
        text = next;
    }
    text.replace('\\', "/")
}

/// The number of times that escapes are decoded. No server is known to decode more than twice.
const ROUNDS: usize = 8;

/// RFC 3986 §6.2.2.1: scheme and host are case-insensitive.
pub(super) fn lower_origin(uri: &str) -> String {
    let end = match uri.find(':') {
        Some(colon) if uri[colon..].starts_with("://") => {
            uri[colon + 3..].find(['/', '?', '\\']).map_or(uri.len(), |end| colon + 3 + end)
        }
        Some(colon) => colon,
        None => return uri.to_owned(),
    };
    uri[..end].to_ascii_lowercase() + &uri[end..]
}

/// RFC 3986 §5.2.4: removes dot segments from the path, up to one of the characters `ends`. Empty
/// segments are removed, too: file systems ignore them.
fn without_dots(uri: &str, ends: &[char]) -> String {
    let Some(origin) = uri.find("://").map(|colon| colon + 3) else { return uri.to_owned() };
    let end = uri[origin..].find(ends).map_or(uri.len(), |end| origin + end);
    let Some(path) = uri[origin..end].find('/').map(|slash| origin + slash) else { return uri.to_owned() };
    let mut kept: Vec<&str> = Vec::new();
    let mut is_directory = false;
    for segment in uri[path + 1..end].split('/') {
        // Some servers cut the parameters of a segment off before they resolve it.
        let name = segment.split_once(';').map_or(segment, |(name, _)| name);
        is_directory = matches!(name, "" | "." | "..");
        match name {
            ".." => drop(kept.pop()),
            "." => {}
            "" if segment.is_empty() => {}
            _ => kept.push(segment),
        }
    }
    let slash = if is_directory && !kept.is_empty() { "/" } else { "" };
    format!("{}/{}{slash}{}", &uri[..path], kept.join("/"), &uri[end..])
}

/// Calls `take` with each byte, and with the two digits if the byte was written as an escape.
fn each_byte(mut text: &[u8], mut take: impl FnMut(u8, Option<[u8; 2]>)) {
    loop {
        text = match text {
            [] => return,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                take(16 * digit(*high) + digit(*low), Some([*high, *low]));
                rest
            }
            [byte, rest @ ..] => {
                take(*byte, None);
                rest
            }
        };
    }
}

fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default()
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_is_read_as_the_rfc_says_and_as_a_file_server_would() {
        for (uri, normal, decoded) in [
            ("file:///a/b", "file:///a/b", "file:///a/b"),
            ("FILE://HOST/A", "file://host/A", "file://host/A"),
            ("file:///a/../b", "file:///b", "file:///b"),
            ("file:///a/%2e%2E/b", "file:///b", "file:///b"),
            ("file:///a/..%2fb", "file:///a/..%2Fb", "file:///b"),
            ("file:///a/..%252fb", "file:///a/..%252fb", "file:///b"),
            ("file:///a/..\\b", "file:///a/..\\b", "file:///b"),
            ("file:///a/..;x/b", "file:///b", "file:///b"),
            ("file:///a//b/", "file:///a/b/", "file:///a/b/"),
            ("file:///%73ecret", "file:///secret", "file:///secret"),
            ("file:///a%20b", "file:///a%20b", "file:///a b"),
            ("file:///a#b", "file:///a", "file:///a"),
            ("db://t/a?x=../y", "db://t/a?x=../y", "db://t/a?x=../y"),
            ("db://t?x=/../y", "db://t?x=/../y", "db://t?x=/y"),
            ("db://t/a?/../y", "db://t/a?/../y", "db://t/y"),
            ("urn:a:..:b", "urn:a:..:b", "urn:a:..:b"),
            ("file:///../../a", "file:///a", "file:///a"),
            ("file:///a/.", "file:///a/", "file:///a/"),
            ("file:///%zz%4", "file:///%zz%4", "file:///%zz%4"),
            ("", "", ""),
        ] {
            let readings = Readings { normal: normal.to_owned(), decoded: decoded.to_owned() };
            assert_eq!(Readings::of(uri), readings, "{uri}");
        }
    }
}
