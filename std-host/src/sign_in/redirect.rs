//! The URLs to which a browser may be sent after a sign-in or a sign-out.

use super::limits::REDIRECT;
use reqwest::Url;

/// Returns the URL to which `asked` sends the browser: a path of this server, or one of the `external` URLs, with any query and
/// fragment. `None` for every other URL, or an open redirect would let a link of this server lead to any website.
pub(super) fn allowed(asked: &str, origin: &str, external: &[String]) -> Option<String> {
    // Browsers remove tabs and line ends from URLs, and read `\` as `/`.
    let is_plain = asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if asked.is_empty() || asked.len() > REDIRECT || !is_plain {
        return None;
    }
    let own = Url::parse(origin).ok()?;
    let url = match asked.starts_with('/') {
        true => own.join(asked).ok()?,
        false => Url::parse(asked).ok()?,
    };
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let is_listed =
        external.iter().filter_map(|one| Url::parse(one).ok()).any(|one| without_query(&one) == without_query(&url));
    let is_allowed = !has_credentials && (url.origin() == own.origin() || is_listed);
    is_allowed.then(|| url.into())
}

fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_is_sent_to_this_server_and_to_listed_urls_alone() {
        let external = ["https://app.example/home".to_owned()];
        for (asked, expected) in [
            ("/", Some("https://gw.example/")),
            ("/a?b=c#d", Some("https://gw.example/a?b=c#d")),
            ("https://gw.example/a", Some("https://gw.example/a")),
            ("https://GW.example:443/a", Some("https://gw.example/a")),
            ("https://app.example/home?x=1#y", Some("https://app.example/home?x=1#y")),
            ("https://app.example/", None),
            ("https://app.example/home/../other", None),
            ("https://app.example.evil.example/home", None),
            ("//evil.example", None),
            ("///evil.example", None),
            ("/\\evil.example", None),
            ("/\t/evil.example", None),
            ("\\\\evil.example", None),
            ("https:evil.example", None),
            ("https://gw.example@evil.example/", None),
            ("https://user@gw.example/", None),
            ("https://gw.example.evil.example/", None),
            ("http://gw.example/", None),
            ("https://gw.example:8443/", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("a", None),
            ("", None),
            ("/a b", None),
            ("/\u{202e}", None),
        ] {
            assert_eq!(allowed(asked, "https://gw.example", &external).as_deref(), expected, "{asked:?}");
        }
        assert_eq!(allowed(&format!("/{}", "x".repeat(REDIRECT)), "https://gw.example", &external), None);
    }
}
