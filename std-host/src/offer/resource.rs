//! The builder of a resource or a resource template.

use super::add_error::AddError;
use super::changes::Offer;
use super::completion::completion;
use super::definition::Asked;
use super::entry::{Entry, listed};
use super::handler::Handler;
use crate::call::{
    CompletionRequest, IntoContents, Outcome, ResourceRequest, Role, Sealer, annotations, crashed, guarded,
};
use attache_core::tool::template;
use std::sync::Arc;

/// The builder of a resource or a resource template.
///
/// ```
/// use attache_host::{CompletionRequest, Ctx, Resource, ResourceRequest, Server, ToolError};
///
/// let readme = Resource::new("docs://readme", "readme", "text/markdown", async |_: ResourceRequest, _: Ctx| {
///     "# Weather station"
/// });
/// let station = Resource::new("station://{name}", "station", "text/plain", async |read: ResourceRequest, _: Ctx| {
///     match read.variable("name") {
///         "roof" => Ok("21.5 °C"),
///         _ => Err(ToolError::not_found()),
///     }
/// })
/// .description("The temperature at a station")
/// .complete("name", async |_: CompletionRequest, _: Ctx| vec!["roof".to_owned()]);
/// let server = Server::new("weather", "1.0").with_resource(readme).with_template(station);
/// ```
pub struct Resource {
    entry: Entry,
    name: String,
}

impl Resource {
    /// Creates a resource from its URI, its name and its media type.
    ///
    /// For a template, `uri` has variables in braces (RFC 6570 level 1). [`ResourceRequest::variable`] returns
    /// their values.
    ///
    /// The resource cannot be added if `uri` is not a URI with a scheme (RFC 3986).
    pub fn new<R, H>(uri: &str, name: &str, mime_type: &str, handler: H) -> Self
    where
        R: IntoContents,
        H: Handler<ResourceRequest, R>,
    {
        let listed = vec![("mimeType", mime_type.into())];
        let mime_type: Arc<str> = mime_type.into();
        let handler = Arc::new(handler);
        let start = move |asked: Asked<'_>, ctx, sealer: Sealer| {
            let mime_type = Arc::clone(&mime_type);
            guarded(
                || {
                    let Asked::Uri(uri, variables) = asked else {
                        return Err(crashed(&"a resource was called"));
                    };
                    let run = handler.run(ResourceRequest::new(uri, variables), ctx);
                    Ok(async move {
                        match run.await.into_contents() {
                            Ok(contents) => Outcome::Read(contents.declared(&mime_type)),
                            Err(error) => Outcome::of_failure(error.into_failure(), false, || sealer.seal()),
                        }
                    })
                },
                crashed,
            )
        };
        let mut entry = Entry::new(uri, listed, start);
        entry.check(is_uri(uri), |uri| format!("{uri:?} must be a URI such as board://log"));
        Self { entry, name: name.to_owned() }
    }

    /// Describes the content for the model (`description`).
    #[must_use]
    pub fn description(self, description: &str) -> Self {
        self.member("description", description.into())
    }

    /// Sets the number of bytes before any encoding (`size`). Not for templates.
    #[must_use]
    pub fn size(self, bytes: u64) -> Self {
        self.member("size", bytes.into())
    }

    /// Sets the audience, `user` or `assistant` or both, and the priority from 0 to 1
    /// (`annotations`).
    #[must_use]
    pub fn audience(self, audience: &[Role], priority: f64) -> Self {
        self.member("annotations", annotations(audience, priority))
    }

    /// Completes a variable of a template while the user types it. `handler` gets the typed text and
    /// returns possible values, best first. At most a hundred are sent.
    ///
    /// The template cannot be added if it has no such variable.
    #[must_use]
    pub fn complete<H: Handler<CompletionRequest, Vec<String>>>(mut self, variable: &str, handler: H) -> Self {
        let known = template::names(self.entry.key()).any(|name| name == variable);
        self.entry.check(known, |template| format!("{template:?} has no variable {variable:?}"));
        self.entry.complete(variable, completion(handler));
        self
    }

    pub(crate) fn finish(self, key: &'static str) -> Result<Offer, AddError> {
        self.entry.finish(&[(key, None), ("name", Some(self.name))])
    }
}

listed! { Resource }

/// Checks for a URI as in RFC 3986 §3: a scheme, a colon, and then only characters of URIs. Braces
/// are allowed for templates.
// MCP 2025-06-18 and later, server/resources: custom schemes MUST conform to RFC 3986.
fn is_uri(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let in_rest = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%{}".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(in_scheme)
        && !rest.is_empty()
        && rest.bytes().all(in_rest)
}
