//! Normalizes entries of lists to the form in which they are compared with the values that clients
//! send.

use super::settings::{Item, Kind};
use reqwest::Url;

/// Splits the texts of a list into entries. Commas separate entries; in lists of scopes, so do
/// spaces. Removes duplicates.
///
/// # Errors
/// The entry that can never match, and a suggestion for what to write instead.
pub(super) fn entries(item: Item, texts: &[String]) -> Result<Vec<String>, (String, String)> {
    let mut entries = Vec::new();
    for text in texts {
        let separates = |letter: char| letter == ',' || (item == Item::Scope && letter.is_whitespace());
        let pieces: Vec<&str> = text.split(separates).map(str::trim).filter(|piece| !piece.is_empty()).collect();
        if pieces.is_empty() {
            return Err((text.clone(), "must not be empty: leave it out".to_owned()));
        }
        for piece in pieces {
            let entry = normal(item, piece).map_err(|wanted| (piece.to_owned(), wanted))?;
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

fn normal(item: Item, text: &str) -> Result<String, String> {
    match item {
        Item::Text | Item::Scope => Ok(text.to_owned()),
        Item::Host => host(text),
        Item::Origin => origin(text),
        // Tokens contain the ids of tenants in lower case (learn.microsoft.com, "Access token
        // claims reference").
        Item::Tenant => Ok(text.to_ascii_lowercase()),
    }
}

/// The host as clients send it in `Host`: lower case, Punycode, without port and without the
/// trailing dot.
fn host(text: &str) -> Result<String, String> {
    const WANTED: &str = "must be a host name such as api.example";
    if text.contains('*') {
        return Err("must name one host: there are no wildcards. Name each host".to_owned());
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split('/').next().and_then(|host| self::host(host).ok());
        return Err(host.map_or(WANTED.to_owned(), |host| format!("{WANTED}, without scheme and path: write {host}")));
    }
    if text.contains(['/', '?', '#', '@', '\\', '%']) || text.contains(char::is_whitespace) {
        return Err(WANTED.to_owned());
    }
    let authority = match text.parse::<core::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => text.to_owned(),
    };
    let url = Url::parse(&format!("http://{authority}/")).map_err(|_| WANTED.to_owned())?;
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    // RFC 1035 §2.3.1: a label of a name must not be empty.
    match host.split('.').any(str::is_empty) {
        true if host.len() > 1 => {
            Err(format!("{WANTED}: no part between dots is empty, and subdomains need entries of their own"))
        }
        true => Err(WANTED.to_owned()),
        false => Ok(host.to_owned()),
    }
}

/// The origin as browsers write it (RFC 6454 §6.2).
fn origin(text: &str) -> Result<String, String> {
    const WANTED: &str = "must be scheme, host and port of a web page, such as https://app.example";
    if text.contains('*') {
        return Err(format!("{WANTED}: there are no wildcards. Name each origin"));
    }
    if text == "null" {
        return Err(format!("{WANTED}: any page can send null, from a sandboxed frame"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(match host(text) {
            Ok(_) => format!("{WANTED}: write https://{text}"),
            Err(_) => WANTED.to_owned(),
        });
    };
    let url = Url::parse(text).map_err(|_| WANTED.to_owned())?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() || url.host_str().is_none_or(str::is_empty) {
        return Err(match url.origin().ascii_serialization().as_str() {
            "null" => WANTED.to_owned(),
            origin => format!("{WANTED}, without path: write {origin}"),
        });
    }
    Ok(match url.scheme() {
        "http" | "https" => {
            url.host_str().map(host).transpose()?;
            url.origin().ascii_serialization()
        }
        // Applications that embed a browser have their own schemes.
        _ => format!("{}://{}", scheme.to_ascii_lowercase(), rest.trim_end_matches('/')),
    })
}

impl Kind {
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::List(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_written_as_clients_send_it_and_what_can_never_match_is_refused() {
        for (text, expected) in [
            ("api.example", Ok("api.example")),
            ("API.Example.", Ok("api.example")),
            ("api.example:8443", Ok("api.example")),
            ("bücher.example", Ok("xn--bcher-kva.example")),
            ("::1", Ok("[::1]")),
            ("[2001:DB8:0::1]:80", Ok("[2001:db8::1]")),
            ("192.0.2.1", Ok("192.0.2.1")),
            ("https://api.example/mcp", Err("write api.example")),
            ("*.example", Err("wildcards")),
            ("*", Err("wildcards")),
            ("api.example/mcp", Err("api.example")),
            ("a b", Err("host name")),
            ("user@api.example", Err("host name")),
            (".", Err("host name")),
            (".example", Err("subdomains")),
            ("api..example", Err("no part")),
        ] {
            match (host(text), expected) {
                (Ok(host), Ok(expected)) => assert_eq!(host, expected, "{text}"),
                (Err(wanted), Err(words)) => assert!(wanted.contains(words), "{text}: {wanted}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn origin_is_written_as_browsers_send_it_and_what_can_never_match_is_refused() {
        for (text, expected) in [
            ("https://app.example", Ok("https://app.example")),
            ("https://app.example/", Ok("https://app.example")),
            ("HTTPS://App.Example:443", Ok("https://app.example")),
            ("http://localhost:3000", Ok("http://localhost:3000")),
            ("https://bücher.example", Ok("https://xn--bcher-kva.example")),
            ("vscode-webview://abc", Ok("vscode-webview://abc")),
            ("https://app.example/page", Err("write https://app.example")),
            ("https://app.example?x", Err("write https://app.example")),
            ("https://me@app.example", Err("write https://app.example")),
            ("app.example", Err("write https://app.example")),
            ("localhost:3000", Err("https://localhost:3000")),
            ("*", Err("wildcards")),
            ("https://*.example", Err("wildcards")),
            ("https://app.example:*", Err("wildcards")),
            ("https://.example", Err("subdomains")),
            ("null", Err("sandboxed")),
            ("https://", Err("scheme")),
        ] {
            match (origin(text), expected) {
                (Ok(origin), Ok(expected)) => assert_eq!(origin, expected, "{text}"),
                (Err(wanted), Err(words)) => assert!(wanted.contains(words), "{text}: {wanted}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn list_is_split_at_commas_trimmed_and_without_repetitions() {
        let split = |item, texts: &[&str]| entries(item, &texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(split(Item::Text, &["a, b", "c,a,"]).unwrap(), ["a", "b", "c"]);
        assert_eq!(split(Item::Scope, &["a b", "c,d"]).unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(split(Item::Text, &[]).unwrap(), Vec::<String>::new());
        for empty in ["", ",", " , "] {
            assert!(split(Item::Text, &[empty]).is_err(), "{empty:?}");
        }
    }
}
