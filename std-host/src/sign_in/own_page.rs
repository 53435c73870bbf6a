//! Requests of browsers: which of them come from pages of this server, and which are a person who opens a page.

use http::header::{ACCEPT, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};

/// Whether a cookie may count as the credentials of this request (CSRF). Other websites can make a browser send requests, and the
/// browser adds the cookies of this server to some of them.
///
/// - A request that was sent by a page must come from a page of this server (`Sec-Fetch-Site`, `Origin`).
/// - A person may open a page with a link of another website, which needs no `Origin` and changes nothing.
/// - Without either field, which only old browsers and programs leave out, only GET and HEAD count.
pub(super) fn may_use_cookie(method: &Method, headers: &HeaderMap, origin: &str) -> bool {
    let is_reading = matches!(*method, Method::GET | Method::HEAD);
    let mut origins = headers.get_all(ORIGIN).iter();
    let is_own_origin = match (origins.next(), origins.next()) {
        (None, _) => None,
        (Some(own), None) => Some(own == origin),
        (Some(_), Some(_)) => Some(false),
    };
    match (text(headers, "sec-fetch-site"), is_own_origin) {
        (_, Some(false)) => false,
        (Some("same-origin"), _) => true,
        (Some(_), _) => is_reading && text(headers, "sec-fetch-mode") == Some("navigate"),
        (None, Some(true)) => true,
        (None, None) => is_reading,
    }
}

/// Whether a script of a page of this server has sent the request, so that no other page and no frame can read the answer.
pub(super) fn is_own_script(headers: &HeaderMap) -> bool {
    text(headers, "sec-fetch-site") == Some("same-origin") && text(headers, "sec-fetch-dest") == Some("empty")
}

/// Whether another website has sent the browser here.
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    matches!(text(headers, "sec-fetch-site"), Some("cross-site" | "same-site"))
}

/// Whether a person has opened the URL of this request in a browser. Programs and scripts of pages cannot follow a redirect to a
/// sign-in page.
pub(super) fn is_navigation(head: &Parts) -> bool {
    let headers = &head.headers;
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_or_absent = |name, expected| text(headers, name).is_none_or(|value| value == expected);
    matches!(head.method, Method::GET | Method::HEAD)
        && accept.contains("text/html")
        && !headers.contains_key("x-requested-with")
        && is_or_absent("sec-fetch-mode", "navigate")
        && is_or_absent("sec-fetch-dest", "document")
}

/// The value of a field. A repeated field has a value that matches nothing.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(first.to_str().ok().filter(|_| values.next().is_none()).unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(method: &str, fields: &[(&str, &str)]) -> Parts {
        let request = fields
            .iter()
            .fold(Request::builder().method(method), |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn cookie_counts_for_pages_of_this_server_and_for_links_that_a_person_follows() {
        const OWN: (&str, &str) = ("origin", "https://gw.example");
        let site = |site| ("sec-fetch-site", site);
        const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
        for (method, fields, expected) in [
            ("POST", &[site("same-origin"), OWN][..], true),
            ("POST", &[site("same-origin")], true),
            ("POST", &[OWN], true),
            ("POST", &[], false),
            ("POST", &[("origin", "https://evil.example")], false),
            ("POST", &[("origin", "null")], false),
            ("POST", &[OWN, OWN], false),
            ("POST", &[site("same-site"), ("origin", "https://other.gw.example")], false),
            ("POST", &[site("cross-site"), NAVIGATE], false),
            ("POST", &[site("none")], false),
            ("POST", &[site("same-origin"), ("origin", "https://evil.example")], false),
            ("GET", &[], true),
            ("GET", &[site("none"), NAVIGATE], true),
            ("GET", &[site("cross-site"), NAVIGATE], true),
            ("GET", &[site("cross-site"), ("sec-fetch-mode", "no-cors")], false),
            ("GET", &[site("same-site"), ("sec-fetch-mode", "websocket")], false),
            ("GET", &[("origin", "https://evil.example")], false),
            ("GET", &[site("same-origin"), site("same-origin")], false),
            ("DELETE", &[site("same-origin")], true),
            ("DELETE", &[], false),
        ] {
            let Parts { method, headers, .. } = head(method, fields);
            assert_eq!(may_use_cookie(&method, &headers, "https://gw.example"), expected, "{method} {fields:?}");
        }
    }

    #[test]
    fn person_who_opens_a_page_is_told_from_programs_and_scripts() {
        const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        for (method, fields, expected) in [
            ("GET", &[HTML][..], true),
            ("HEAD", &[HTML], true),
            ("GET", &[HTML, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], true),
            ("GET", &[HTML, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], false),
            ("GET", &[HTML, ("sec-fetch-mode", "cors")], false),
            ("GET", &[HTML, ("x-requested-with", "XMLHttpRequest")], false),
            ("POST", &[HTML], false),
            ("GET", &[("accept", "application/json, text/event-stream")], false),
            ("GET", &[], false),
        ] {
            assert_eq!(is_navigation(&head(method, fields)), expected, "{method} {fields:?}");
        }
    }
}
