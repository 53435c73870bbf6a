//! The pages that a person sees: plain HTML without scripts.

use super::SignIn;
use super::client::{Client, Kind};
use super::consent::Consent;
use super::limits;
use super::person::Person;
use super::redirect::is_loopback;

pub(crate) const STYLE: &str = include_str!("style.css");

/// The path and the notice of a server's pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'s> {
    /// The path of the issuer, without a slash at its end.
    pub(super) base: &'s str,
    /// A sentence at the top of every page.
    pub(super) notice: Option<&'s str>,
}

impl Site<'_> {
    /// A whole page. `body` is HTML.
    fn page(&self, title: &str, body: &str) -> String {
        let notice = self.notice.map(|notice| format!("<p class=\"notice\" role=\"note\">{}</p>", escaped(notice)));
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <link rel=\"stylesheet\" href=\"{base}/oauth/style.css\">\n</head>\n<body>\n<main>\n{notice}\n<h1>{title}</h1>\n\
             {body}\n</main>\n</body>\n</html>\n",
            title = escaped(title),
            base = escaped(self.base),
            notice = notice.unwrap_or_default(),
        )
    }

    /// The page that says why a sign-in cannot go on, and what the person can do.
    pub(super) fn failure(&self, why: &str, remedy: &str) -> String {
        let body = format!("<p>{}</p>\n<p>{}</p>", escaped(why), escaped(remedy));
        self.page("Sign-in cannot continue", &body)
    }

    /// A page with a message.
    pub(super) fn message(&self, title: &str, text: &str) -> String {
        self.page(title, &format!("<p>{}</p>", escaped(text)))
    }

    /// The page that asks a person whether a client may act for them.
    pub(super) fn consent(&self, client: &Client, consent: &Consent, sealed: &str, sign_in: &SignIn) -> String {
        let name = client.name.as_deref().map(shown).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| "A program without a name".to_owned());
        let title = format!("Allow {name} to act for you?");
        let body = format!(
            "{warning}<dl>\n<dt>Program</dt><dd>{program}</dd>\n<dt>The answer goes to</dt><dd>{redirect}</dd>\n\
             <dt>Server that it wants to use</dt><dd>{resource}</dd>\n</dl>\n\
             <form method=\"post\" action=\"{base}/oauth/consent\">\n\
             <input type=\"hidden\" name=\"consent\" value=\"{sealed}\">\n{people}{scopes}\
             <button class=\"allow\" name=\"decision\" value=\"allow\">Allow</button>\n\
             <button name=\"decision\" value=\"deny\">Deny</button>\n</form>",
            warning = warning(client, consent),
            program = escaped(&who(client, &name)),
            redirect = escaped(&consent.redirect_uri),
            resource = escaped(&consent.resource),
            base = escaped(self.base),
            sealed = escaped(sealed),
            people = who_signs_in(sign_in),
            scopes = scopes_to_choose(&consent.scopes),
        );
        self.page(&title, &body)
    }
}

/// Describes the client, as far as it is known.
fn who(client: &Client, name: &str) -> String {
    match (client.kind, client.host()) {
        (Kind::ByOperator, _) => format!("{name}, registered by the operator of this server"),
        (_, Some(host)) => format!("{name}, described by {host}"),
        (_, None) => format!("{name}. It has registered itself: its name was not checked."),
    }
}

/// Returns a warning about the client, if the person should check something before they agree.
fn warning(client: &Client, consent: &Consent) -> String {
    // MCP basic/authorization: extra warning if a document has only loopback URIs, since any program can use them.
    let text = match is_loopback(&consent.redirect_uri) {
        true => "The answer goes to a program on this computer. Allow only if you have just started to sign in there.",
        false if client.kind == Kind::Registered => {
            "The answer goes to another website. Allow only if you know it and have just started to sign in there."
        }
        false => return String::new(),
    };
    format!("<p class=\"notice\">{text}</p>\n")
}

fn who_signs_in(sign_in: &SignIn) -> String {
    match sign_in {
        SignIn::MadeUp(people) => people_to_choose(people),
        SignIn::Upstream(upstream) => {
            format!("<p>If you allow it, you sign in at {}.</p>\n", escaped(upstream.issuer()))
        }
    }
}

fn people_to_choose(people: &[Person]) -> String {
    let mut html = String::from("<fieldset>\n<legend>Sign in as</legend>\n");
    for (number, person) in people.iter().enumerate() {
        let checked = if number == 0 { " checked" } else { "" };
        let roles =
            if person.roles.is_empty() { String::new() } else { format!(" (roles: {})", person.roles.join(", ")) };
        let label = escaped(&format!("{}{roles}", person.shown()));
        html += &format!("<label><input type=\"radio\" name=\"person\" value=\"{number}\"{checked}> {label}</label>\n");
    }
    html + "</fieldset>\n"
}

fn scopes_to_choose(scopes: &[String]) -> String {
    if scopes.is_empty() {
        return String::new();
    }
    let mut html = String::from("<fieldset>\n<legend>What it may do</legend>\n");
    for (number, scope) in scopes.iter().enumerate() {
        let scope = escaped(scope);
        html += &format!(
            "<label><input type=\"checkbox\" name=\"scope-{number}\" value=\"yes\" checked> {scope}</label>\n"
        );
    }
    html + "</fieldset>\n"
}

/// A name that a client has chosen, as it is shown: one line, without characters that change the direction of text.
pub(crate) fn shown(name: &str) -> String {
    let is_directional = |char: char| matches!(char, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}');
    let visible = name.chars().filter(|char| !is_directional(*char));
    let visible: String = visible.map(|char| if char.is_control() { ' ' } else { char }).take(limits::NAME).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Escapes a text for HTML and for attribute values in double quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_client_cannot_change_the_page() {
        for (name, expected) in [
            ("Visual  Studio\nCode", "Visual Studio Code"),
            ("a\u{202E}b\u{200B}c\0", "abc"),
            (&"x".repeat(10_000), &"x".repeat(limits::NAME)),
        ] {
            assert_eq!(shown(name), expected);
        }
        let site = Site { base: "", notice: Some("a < b") };
        let html = site.message("<script>alert('1')</script>", "\"&");
        assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"), "{html}");
        assert!(html.contains("&quot;&amp;") && html.contains("a &lt; b") && !html.contains("<script"), "{html}");
    }
}
