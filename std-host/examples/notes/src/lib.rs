//! A notes server over SQLite.

pub mod store;

use attache_host::prelude::*;
use axum::{Router, extract::State, http::StatusCode, routing};
use core::fmt::Write;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use store::{Draft, Note, Store};

const HELP: &str = "# Notes

A note has a text, tags, a source and a priority. Read all notes at `notes://all`, and those with a tag at
`notes://tag/{tag}`. The tool `search` finds notes by their text.
";

tools! { mod tools for Notes {
    /// Add a note
    #[additive] #[closed_world] #[scope("notes.write")] async fn add(Draft) -> Note;
    /// Add several notes, and report progress after each
    #[additive] #[closed_world] #[scope("notes.write")] async fn import(Import, Ctx);
    /// Find the notes that contain a text and have a tag. Without either, list all notes.
    #[read_only] #[closed_world] #[scope("notes.read")] async fn search(Search) -> Vec<Note>;
    /// Delete a note. The user is asked first.
    #[destructive] #[idempotent] #[closed_world] #[scope("notes.write")] async fn delete(Number, Ctx);
    /// Draw how many notes each tag has
    #[read_only] #[closed_world] #[scope("notes.read")] async fn chart();
} }

#[derive(Deserialize, JsonSchema)]
struct Import {
    /// the notes to add
    notes: Vec<Draft>,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// what the text of the note contains
    #[serde(default)]
    text: String,
    /// a tag that the note has
    tag: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Number {
    /// number of the note
    id: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Confirm {
    /// delete it for good
    sure: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Summarize {
    /// tag of the notes to summarize
    tag: String,
}

/// The application: its methods answer the calls.
pub struct Notes(pub Store);

impl Notes {
    async fn add(&self, draft: Draft) -> Result<Note, ToolError> {
        Ok(self.0.add(draft)?)
    }

    async fn import(&self, import: Import, ctx: Ctx) -> Result<String, ToolError> {
        let total = import.notes.len();
        for (draft, done) in import.notes.into_iter().zip(1_u32..) {
            let note = self.0.add(draft)?;
            ctx.progress(done.into(), Some(total as f64), Some(&note.text)).await;
        }
        Ok(format!("{total} notes were added."))
    }

    async fn search(&self, search: Search) -> Result<Vec<Note>, ToolError> {
        Ok(self.0.find(&search.text, search.tag.as_deref())?)
    }

    // The handler runs again with the answer of the user, so nothing changes before the question.
    async fn delete(&self, number: Number, ctx: Ctx) -> Result<&'static str, ToolError> {
        let missing = "There is no note of this number.";
        let note = self.0.get(number.id)?.or_user(missing)?;
        let answer = ctx.elicit_as::<Confirm>("confirm", &format!("Delete the note \"{}\"?", note.text))?;
        answer.filter(|confirm| confirm.sure).or_user("The user did not agree.")?;
        self.0.remove(note.id)?.then_some("The note is deleted.").or_user(missing)
    }

    async fn chart(&self) -> Result<Content, ToolError> {
        let tags = self.0.tags("")?;
        let height = 20 * tags.len();
        let mut svg = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="400" height="{height}">"#);
        let most = tags.iter().map(|(_, notes)| *notes).max().unwrap_or(1);
        for (row, (tag, notes)) in tags.iter().enumerate() {
            let (y, width, tag) = (20 * row, 400 * notes / most, tag.replace('&', "&amp;").replace('<', "&lt;"));
            write!(svg, r#"<rect y="{y}" width="{width}" height="16" fill="silver"/>"#)?;
            write!(svg, r#"<text x="4" y="{}" font-size="12">{tag}: {notes}</text>"#, y + 12)?;
        }
        Ok(Content::Image { mime_type: "image/svg+xml".to_owned(), data: (svg + "</svg>").into_bytes() })
    }

    async fn all(self: Arc<Self>, _: ResourceRequest, _: Ctx) -> Result<Json<Vec<Note>>, ToolError> {
        Ok(Json(self.0.find("", None)?))
    }

    async fn tagged(self: Arc<Self>, read: ResourceRequest, _: Ctx) -> Result<Json<Vec<Note>>, ToolError> {
        let tag = percent_decoded(read.variable("tag")).ok_or_else(ToolError::not_found)?;
        Ok(Json(self.0.find("", Some(&tag))?))
    }

    async fn summarize(self: Arc<Self>, asked: Summarize, _: Ctx) -> Result<String, ToolError> {
        let texts: Vec<_> = self.0.find("", Some(&asked.tag))?.into_iter().map(|note| note.text).collect();
        Ok(format!("Summarize these notes in three sentences:\n\n{}", texts.join("\n")))
    }

    // A completion cannot fail: it proposes nothing if the database cannot be read.
    async fn tags(self: Arc<Self>, typed: CompletionRequest, _: Ctx) -> Vec<String> {
        self.0.tags(typed.value()).unwrap_or_default().into_iter().map(|(tag, _)| tag).collect()
    }
}

/// Makes the MCP server of these notes.
pub fn server(notes: &Arc<Notes>) -> ServerBuilder {
    let help = async |_: ResourceRequest, _: Ctx| HELP;
    let all = Resource::new("notes://all", "all", "application/json", with(notes, Notes::all));
    let tagged = Resource::new("notes://tag/{tag}", "tag", "application/json", with(notes, Notes::tagged))
        .complete("tag", with(notes, Notes::tags));
    let summarize = Prompt::new("summarize", "Summarize the notes with a tag", with(notes, Notes::summarize))
        .complete("tag", with(notes, Notes::tags));
    Server::new("notes", env!("CARGO_PKG_VERSION"))
        .scope_implies("notes.write", "notes.read")
        .with_tools(tools::of(notes))
        .with_resource(Resource::new("notes://help", "help", "text/markdown", help))
        .with_resource(all.description("All notes").scope("notes.read"))
        .with_template(tagged.description("The notes with a tag").scope("notes.read"))
        .with_prompt(summarize.scope("notes.read"))
}

/// Returns the routes that are not MCP.
pub fn routes(notes: &Arc<Notes>) -> Router {
    Router::new().route("/count", routing::get(count)).with_state(Arc::clone(notes))
}

async fn count(State(notes): State<Arc<Notes>>) -> Result<String, StatusCode> {
    let all = notes.0.find("", None).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(format!("{} notes", all.len()))
}

// The variable of a template is still percent-encoded.
fn percent_decoded(text: &str) -> Option<String> {
    let (mut bytes, mut decoded) = (text.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => u8::from_str_radix(str::from_utf8(&[bytes.next()?, bytes.next()?]).ok()?, 16).ok()?,
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}
