//! A notes server: tools, resources, a template, a prompt, and routes of its own.

pub mod store;

use attache_host::prelude::*;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use store::{Draft, Note, Store};

tools! { mod tools for Notes {
    /// Add a note
    #[additive] #[closed_world] #[scope("notes.write")] async fn add(Draft, Ctx) -> Note;
    /// Find notes by their text, and by a tag if one is given
    #[read_only] #[closed_world] async fn search(Search);
    /// Add many notes
    #[additive] #[closed_world] #[scope("notes.write")] async fn import(Import, Ctx);
    /// Delete a note. The user is asked first.
    #[destructive] #[idempotent] #[closed_world] #[scope("notes.write")] async fn delete(Number, Ctx);
    /// Draw how many notes each tag has
    #[read_only] #[closed_world] async fn chart();
} }

/// The application.
pub struct Notes(pub Store);

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// text that the notes contain; empty for all notes
    #[serde(default)]
    text: String,
    /// tag that the notes have
    tag: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Import {
    notes: Vec<Draft>,
}

#[derive(Deserialize, JsonSchema)]
struct Number {
    /// number of the note
    id: i64,
}

/// The question before a note is deleted.
#[derive(Deserialize, JsonSchema)]
struct Confirm {
    /// delete it for good
    sure: bool,
}

#[derive(Deserialize, JsonSchema)]
struct About {
    /// tag of the notes to summarize
    tag: String,
}

impl Notes {
    async fn add(&self, draft: Draft, ctx: Ctx) -> Result<Note, ToolError> {
        let note = self.0.add(draft)?;
        ctx.changes().resource("notes://all");
        Ok(note)
    }

    async fn search(&self, search: Search) -> Result<Json<Vec<Note>>, ToolError> {
        Ok(Json(self.0.find(&search.text, search.tag.as_deref())?))
    }

    async fn import(&self, import: Import, ctx: Ctx) -> Result<String, ToolError> {
        let total = import.notes.len();
        for (done, draft) in import.notes.into_iter().enumerate() {
            ctx.progress(done as f64, Some(total as f64), Some(&draft.text)).await;
            self.0.add(draft)?;
        }
        ctx.changes().resource("notes://all");
        Ok(format!("{total} notes were added."))
    }

    async fn delete(&self, number: Number, ctx: Ctx) -> Result<&'static str, ToolError> {
        let note = self.0.get(number.id)?.or_user("There is no note of this number.")?;
        let answer = ctx.elicit_as::<Confirm>("confirm", &format!("Delete the note {:?}?", note.text))?;
        answer.filter(|confirm| confirm.sure).or_user("The user did not agree.")?;
        self.0.remove(number.id)?;
        ctx.changes().resource("notes://all");
        Ok("The note is deleted.")
    }

    async fn chart(&self) -> Result<Content, ToolError> {
        let bar = |(row, (tag, notes)): (usize, &(String, i64))| {
            let (y, width, tag) = (20 * row, 10 * notes, tag.replace('&', "&amp;").replace('<', "&lt;"));
            format!(r#"<rect y="{y}" width="{width}" height="16"/><text x="{width}" y="{}">{tag}</text>"#, y + 13)
        };
        let bars: String = self.0.tags("")?.iter().enumerate().map(bar).collect();
        let svg = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="400" height="400">{bars}</svg>"#);
        Ok(Content::Image { mime_type: "image/svg+xml".to_owned(), data: svg.into_bytes() })
    }

    async fn all(self: Arc<Self>, _: ResourceRequest, _: Ctx) -> Result<Json<Vec<Note>>, ToolError> {
        Ok(Json(self.0.find("", None)?))
    }

    async fn tagged(self: Arc<Self>, read: ResourceRequest, _: Ctx) -> Result<Json<Vec<Note>>, ToolError> {
        Ok(Json(self.0.find("", Some(read.variable("tag")))?))
    }

    async fn summarize(self: Arc<Self>, about: About, _: Ctx) -> Result<String, ToolError> {
        let notes: Vec<_> = self.0.find("", Some(&about.tag))?.into_iter().map(|note| note.text).collect();
        Ok(format!("Summarize these notes in three sentences:\n{}", notes.join("\n")))
    }

    async fn complete_tag(self: Arc<Self>, typed: CompletionRequest, _: Ctx) -> Vec<String> {
        self.0.tags(typed.value()).unwrap_or_default().into_iter().map(|(tag, _)| tag).collect()
    }
}

/// Returns the MCP server of these notes.
pub fn server(notes: &Arc<Notes>) -> ServerBuilder {
    const JSON: &str = "application/json";
    let tag = || with(notes, Notes::complete_tag);
    Server::new("notes", env!("CARGO_PKG_VERSION"))
        .instructions("Notes of the user. Search before you add, so that no note is there twice.")
        .subscriptions()
        .with_tools(tools::of(notes))
        .with_resource(Resource::new("notes://all", "all", JSON, with(notes, Notes::all)).description("All notes"))
        .with_resource(Resource::new("notes://help", "help", "text/markdown", async |_: ResourceRequest, _: Ctx| {
            include_str!("../README.md")
        }))
        .with_template(
            Resource::new("notes://tag/{tag}", "tag", JSON, with(notes, Notes::tagged))
                .description("The notes that have a tag")
                .complete("tag", tag()),
        )
        .with_prompt(
            Prompt::new("summarize", "Summarize the notes that have a tag", with(notes, Notes::summarize))
                .complete("tag", tag()),
        )
}

/// Returns the program's own routes, for the same router as the MCP endpoint.
pub fn routes(notes: &Arc<Notes>) -> axum::Router {
    let count = async |State(notes): State<Arc<Notes>>| match notes.0.find("", None) {
        Ok(all) => Ok(format!("{} notes", all.len())),
        Err(_) => Err(axum::http::StatusCode::INTERNAL_SERVER_ERROR),
    };
    axum::Router::new().route("/count", axum::routing::get(count)).with_state(Arc::clone(notes))
}
