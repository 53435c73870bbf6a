//! The content of answers: blocks, and the outputs of tools, prompts and resources.

use super::metadata::check_keys;
use super::streamed::TextStream;
use attache_core::json::Full;
use attache_core::tool::Contents as Place;
use attache_core::tool::{Block, Messages, Output, ToolResult};
use serde_json::{Value, json};

pub use attache_core::tool::Role;

/// One block of content (MCP server/tools, "ContentBlock").
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// Text for the model.
    Text(String),
    /// An image.
    Image {
        /// The media type, such as `image/png`.
        mime_type: String,
        /// The bytes of the image; they are sent as Base64.
        data: Vec<u8>,
    },
    /// A sound.
    Audio {
        /// The media type, such as `audio/wav`.
        mime_type: String,
        /// The bytes of the sound; they are sent as Base64.
        data: Vec<u8>,
    },
    /// A link to a resource.
    Link {
        /// The URI under which it can be read.
        uri: String,
        /// The name of the resource.
        name: String,
    },
    /// A text resource, embedded in the result.
    Resource {
        /// The URI of the resource.
        uri: String,
        /// The media type.
        mime_type: String,
        /// The text.
        text: String,
    },
    /// A block with additional members: see [`audience`](Content::audience) and
    /// [`meta`](Content::meta).
    #[doc(hidden)]
    With(Box<Content>, String),
}

impl Content {
    /// Text for the model.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Adds the audience of the block and its priority from 0 to 1 (`annotations`).
    #[must_use]
    pub fn audience(self, audience: &[Role], priority: f64) -> Self {
        self.with("annotations", &annotations(audience, priority))
    }

    /// Adds metadata for the client (`_meta`).
    ///
    /// # Panics
    /// If a key breaks the grammar of keys (MCP 2026-07-28 basic/index), or has a prefix that is
    /// reserved for the protocol.
    #[must_use]
    #[track_caller]
    pub fn meta(self, meta: &Value) -> Self {
        check_keys("a block", meta);
        self.with("_meta", meta)
    }

    fn with(self, name: &str, value: &Value) -> Self {
        match self {
            Self::With(block, members) => Self::With(block, format!("{members},\"{name}\":{value}")),
            block => Self::With(Box::new(block), format!("\"{name}\":{value}")),
        }
    }

    fn write(&self, block: Block<'_>) -> Result<(), Full> {
        match self {
            Self::With(content, members) => block.with(members, |block| content.write(block)),
            Self::Text(text) => block.text(text),
            Self::Image { mime_type, data } => block.image(mime_type, data),
            Self::Audio { mime_type, data } => block.audio(mime_type, data),
            Self::Link { uri, name } => block.link(uri, name),
            Self::Resource { uri, mime_type, text } => block.resource_text(uri, mime_type, text),
        }
    }

    fn size_hint(&self) -> usize {
        const FRAME: usize = 64;
        FRAME
            + match self {
                Self::With(content, members) => content.size_hint() + members.len(),
                Self::Text(text) => text.len() + text.len() / 8,
                Self::Image { data, .. } | Self::Audio { data, .. } => data.len() / 3 * 4,
                Self::Link { uri, name } => uri.len() + name.len(),
                Self::Resource { uri, text, .. } => uri.len() + text.len() + text.len() / 8,
            }
    }
}

/// Returns `annotations` as JSON (MCP server/resources, "Annotations").
pub(crate) fn annotations(audience: &[Role], priority: f64) -> Value {
    let audience: Vec<_> = audience.iter().map(|role| role.name()).collect();
    json!({ "audience": audience, "priority": priority.clamp(0.0, 1.0) })
}

/// The result of a tool: content blocks, an optional structured value, and whether the tool failed.
#[derive(Debug, Default)]
pub struct ToolOutput {
    content: Vec<Content>,
    /// The structured value as JSON.
    structured: Option<String>,
    failed: bool,
    /// A text that replaces all of the above.
    streamed: Option<TextStream>,
}

impl ToolOutput {
    /// Creates a structured result from JSON.
    pub(super) fn of_json(json: String) -> Self {
        Self { structured: Some(json), ..Self::default() }
    }

    /// Creates a text that is sent while it is produced.
    pub(super) fn of_stream(text: TextStream) -> Self {
        Self { streamed: Some(text), ..Self::default() }
    }

    /// Creates a result of these blocks.
    pub fn new(content: impl IntoIterator<Item = Content>) -> Self {
        Self { content: content.into_iter().collect(), ..Self::default() }
    }

    /// Creates a failure that the model can read and act on.
    pub fn failed(reason: String) -> Self {
        Self { content: vec![Content::Text(reason)], failed: true, ..Self::default() }
    }

    /// Whether the tool reports a failure (`isError`).
    pub const fn is_error(&self) -> bool {
        self.failed
    }

    /// The words of a failure that is nothing else.
    pub(crate) fn failure(&self) -> Option<&str> {
        match self.content.as_slice() {
            [Content::Text(reason)] if self.failed => Some(reason),
            _ => None,
        }
    }

    pub(crate) const fn take_stream(&mut self) -> Option<TextStream> {
        self.streamed.take()
    }

    pub(crate) fn write(&self, out: &mut Output<'_>) -> ToolResult {
        if self.failed {
            out.mark_failed();
        }
        self.content.iter().try_for_each(|content| out.block(|block| content.write(block)))?;
        self.structured.iter().try_for_each(|json| out.structured(json))
    }

    pub(crate) fn size_hint(&self) -> usize {
        let structured = self.structured.as_ref().map_or(0, |json| 3 * json.len());
        self.content.iter().map(Content::size_hint).sum::<usize>() + structured
    }
}

/// The messages of a prompt.
#[derive(Clone, Debug, Default)]
pub struct PromptOutput(Vec<(Role, Content)>);

impl PromptOutput {
    /// Creates a prompt of these messages.
    pub fn new(messages: impl IntoIterator<Item = (Role, Content)>) -> Self {
        Self(messages.into_iter().collect())
    }

    pub(crate) fn write(&self, out: &mut Messages<'_, '_>) -> ToolResult {
        self.0.iter().try_for_each(|(role, content)| out.message(*role, |block| content.write(block)))
    }

    pub(crate) fn size_hint(&self) -> usize {
        self.0.iter().map(|(_, content)| content.size_hint()).sum()
    }
}

/// The contents of a resource, sent under the requested URI.
#[derive(Debug)]
pub struct Contents {
    body: Body,
    mime_type: Option<String>,
}

#[derive(Debug)]
enum Body {
    Text(String),
    Blob(Vec<u8>),
    /// Taken out before the rest is written.
    TextStream(Option<TextStream>),
}

impl Contents {
    /// Creates text contents, with the media type that the resource was declared with.
    pub fn text(text: impl Into<String>) -> Self {
        Self { body: Body::Text(text.into()), mime_type: None }
    }

    /// Creates binary contents, with the media type that the resource was declared with. They are
    /// sent as Base64.
    pub fn blob(bytes: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Blob(bytes.into()), mime_type: None }
    }

    /// Creates text contents that are sent while they are produced, with the media type that the
    /// resource was declared with.
    pub const fn streamed(text: TextStream) -> Self {
        Self { body: Body::TextStream(Some(text)), mime_type: None }
    }

    pub(crate) const fn take_stream(&mut self) -> Option<TextStream> {
        match &mut self.body {
            Body::TextStream(text) => text.take(),
            Body::Text(_) | Body::Blob(_) => None,
        }
    }

    pub(crate) fn mime_type(&self) -> &str {
        self.mime_type.as_deref().unwrap_or_default()
    }

    /// Sets another media type.
    #[must_use]
    pub fn with_mime_type(mut self, mime_type: &str) -> Self {
        self.mime_type = Some(mime_type.to_owned());
        self
    }

    /// Sets this media type unless the contents have their own.
    pub(crate) fn declared(mut self, mime_type: &str) -> Self {
        self.mime_type.get_or_insert_with(|| mime_type.to_owned());
        self
    }

    pub(crate) fn write(&self, out: &mut Place<'_, '_>) -> ToolResult {
        match &self.body {
            Body::Text(text) => out.text(self.mime_type(), text),
            Body::Blob(bytes) => out.blob(self.mime_type(), bytes),
            Body::TextStream(_) => Ok(()),
        }
    }

    pub(crate) fn size_hint(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len() + text.len() / 8,
            Body::Blob(bytes) => bytes.len() / 3 * 4,
            Body::TextStream(_) => 0,
        }
    }
}
