//! Paths of requests, as applications may read them.

use percent_encoding::percent_decode_str;

/// Whether two programs may read the path in two ways: one as it is written, the other after it has decoded or normalized it.
// RFC 3986 §6.2.2: normalization of escapes, case and dot segments. `\` is `/` to browsers and to Windows, and `;` begins the
// parameters of a segment to servlets.
pub(super) fn is_ambiguous(path: &str) -> bool {
    let bytes = path.as_bytes();
    let has_bad_byte = bytes.iter().any(|byte| matches!(byte, b'\\' | b';') || !byte.is_ascii_graphic());
    has_bad_byte || path.contains("//") || has_dot_segment(path) || has_ambiguous_escape(path)
}

fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether an escape is invalid, or is for a character that has a meaning in paths, or that is never escaped.
fn has_ambiguous_escape(path: &str) -> bool {
    let mut parts = path.split('%');
    parts.next();
    let mut is_bad = parts.clone().any(|part| {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let is_digits = part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
        // RFC 3986 §2.3: escapes of unreserved characters are equal to the characters.
        code.is_none_or(|byte| {
            byte.is_ascii_control()
                || byte.is_ascii_alphanumeric()
                || matches!(byte, b'/' | b'\\' | b';' | b'%' | b'?' | b'#' | b'-' | b'.' | b'_' | b'~')
        }) || !is_digits
    });
    is_bad |= percent_decode_str(path).decode_utf8().is_err();
    is_bad
}

/// The path as the most lenient application reads it: decoded twice, in lower case, with `/` for `\`, and without parameters, empty
/// segments and dot segments.
pub(super) fn most_lenient(path: &str) -> String {
    let once = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let twice = percent_decode_str(&once).decode_utf8_lossy().replace('\\', "/").to_lowercase();
    let mut segments: Vec<&str> = Vec::new();
    for segment in twice.split('/') {
        match segment.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments.iter().fold(String::new(), |path, segment| path + "/" + segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_with_two_readings_is_ambiguous() {
        for (path, ambiguous) in [
            ("/", false),
            ("/a/b.c/~d-e_f/", false),
            ("/a%20b/%C3%BC", false),
            ("/a@b:c=d&e+f!$'()*,", false),
            ("/..a/.b/c..", false),
            ("//a", true),
            ("/a//b", true),
            ("/a/../b", true),
            ("/a/./b", true),
            ("/a/..", true),
            ("/a%2Fb", true),
            ("/a%2fb", true),
            ("/a%5cb", true),
            ("/a\\b", true),
            ("/a;b=c", true),
            ("/a%3Bb", true),
            ("/%2e%2e/a", true),
            ("/%2E/a", true),
            ("/%61dmin", true),
            ("/a%252Fb", true),
            ("/a%00", true),
            ("/a%", true),
            ("/a%4", true),
            ("/a%zz", true),
            ("/a%+1b", true),
            ("/a%ff", true),
            ("/a%3Fb", true),
        ] {
            assert_eq!(is_ambiguous(path), ambiguous, "{path}");
        }
    }

    #[test]
    fn most_lenient_reading_finds_what_a_path_may_mean() {
        for path in [
            "/.well-known/oauth-x",
            "//.well-known//oauth-x",
            "/a/../.well-known/oauth-x",
            "/.WELL-known/OAuth-x",
            "/.well-known;a=b/oauth-x;c",
            "/.well-known%2Foauth-x",
            "/.well-known%252foauth-x",
            "/.well-known\\oauth-x",
            "/%2e%77ell-known/%6fauth-x",
            "/./.well-known/./oauth-x/",
        ] {
            assert_eq!(most_lenient(path), "/.well-known/oauth-x", "{path}");
        }
    }
}
