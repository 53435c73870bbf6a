//! The pages that a person sees: plain HTML that works with the keyboard alone.

use super::{Provider, SignIn};
use crate::authorization_server::answer::page;
use crate::authorization_server::pages::escaped;
use axum::response::Response;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};

/// Why a person cannot go on, and what they can do.
pub(super) type Why = (StatusCode, &'static str, &'static str);

/// A whole page. `body` is HTML.
fn html(title: &str, body: &str, head: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/.auth/style.css\">\n{head}</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n\
         </body>\n</html>\n"
    )
}

/// A page that says why a request cannot be served. `again` is a link to start again.
pub(super) fn failure((status, why, remedy): Why, again: Option<&str>) -> Response {
    let again = again.map(|url| format!("<p><a href=\"{}\">Sign in again</a></p>", escaped(url)));
    let body = format!("<p>{}</p>\n<p>{}</p>\n{}", escaped(why), escaped(remedy), again.unwrap_or_default());
    page(status, html("Sign-in cannot continue", &body, ""))
}

/// A page with a message and a link.
pub(super) fn message(title: &str, text: &str, link: Option<(&str, &str)>) -> Response {
    let link = link.map(|(url, words)| format!("<p><a href=\"{}\">{}</a></p>", escaped(url), escaped(words)));
    let body = format!("<p>{}</p>\n{}", escaped(text), link.unwrap_or_default());
    page(StatusCode::OK, html(title, &body, ""))
}

/// The page on which a person chooses a provider. `query` goes on to the provider that is chosen.
pub(super) fn choice(sign_in: &SignIn, query: &str) -> Response {
    let link = |provider: &Provider| {
        let url = format!("/.auth/login/{}{query}", provider.name);
        format!("<li><a class=\"button\" href=\"{}\">{}</a></li>\n", escaped(&url), escaped(&provider.label))
    };
    let links: String = sign_in.providers.iter().map(link).collect();
    page(StatusCode::OK, html("Sign in with", &format!("<ul class=\"choice\">\n{links}</ul>"), ""))
}

/// The page that asks whether the person wants to sign out, because another website has sent the browser.
pub(super) fn confirm_sign_out(to: Option<&str>) -> Response {
    let to =
        to.map(|to| format!("<input type=\"hidden\" name=\"post_logout_redirect_uri\" value=\"{}\">\n", escaped(to)));
    let body = format!(
        "<p>Another website has sent you to this page.</p>\n<form method=\"post\" action=\"/.auth/logout\">\n{}\
         <button class=\"allow\">Sign out</button>\n</form>",
        to.unwrap_or_default()
    );
    let mut response = page(StatusCode::OK, html("Sign out?", &body, ""));
    // With `no-referrer`, browsers send the form with `Origin: null` (Fetch Standard §3.2), which no page of this server has.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// The page whose script puts the fragment of the URL, which browsers do not send, into the query. `url` goes on without it.
pub(super) fn fragment(url: &str) -> Response {
    let body = format!("<p><a href=\"{}\">Continue to the sign-in</a></p>", escaped(url));
    let mut response = page(StatusCode::OK, html("Sign in", &body, "<script src=\"/.auth/fragment.js\"></script>\n"));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(WITH_SCRIPT));
    response
}

/// The policy of pages, with the one script of this server.
const WITH_SCRIPT: &str =
    "default-src 'none'; style-src 'self'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The script of that page.
pub(super) const SCRIPT: &str = "const url = new URL(location.href);\n\
    url.searchParams.set('fragment', location.hash || '#');\n\
    url.hash = '';\n\
    location.replace(url);\n";
