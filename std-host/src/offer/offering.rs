//! Tools, prompts, resources and templates come and go.

use super::changes::{Changes, Completion};
use super::handler::{Ctx, Handler};
use super::prompt::Prompt;
use super::registry::Taken;
use super::resource::Resource;
use super::tool::Tool;
use crate::call::{Completing, Outcome, crashed, guarded};
use attache_core::tool::Kind;
use std::sync::Arc;

impl Changes {
    /// Adds a tool.
    ///
    /// # Errors
    /// If there is already one of its name.
    ///
    /// # Panics
    /// As [`Server::with_tool`](crate::Server::with_tool), but for a name that is taken.
    #[track_caller]
    pub fn add_tool(&self, tool: Tool) -> Result<(), Taken> {
        self.add(Kind::Tool, tool.finish())
    }

    /// Takes the tool of this name away; `false` if there is none. Calls of it that run are not disturbed.
    pub fn remove_tool(&self, name: &str) -> bool {
        self.remove(Kind::Tool, name)
    }

    /// Adds a prompt.
    ///
    /// # Errors
    /// If there is already one of its name.
    pub fn add_prompt(&self, prompt: Prompt) -> Result<(), Taken> {
        self.add(Kind::Prompt, prompt.finish())
    }

    /// Takes the prompt of this name away; `false` if there is none.
    pub fn remove_prompt(&self, name: &str) -> bool {
        self.remove(Kind::Prompt, name)
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// If there is already one of its URI.
    pub fn add_resource(&self, resource: Resource) -> Result<(), Taken> {
        self.add(Kind::Resource, resource.finish("uri"))
    }

    /// Takes the resource of this URI away; `false` if there is none.
    pub fn remove_resource(&self, uri: &str) -> bool {
        self.remove(Kind::Resource, uri)
    }

    /// Adds a template.
    ///
    /// # Errors
    /// If there is already the same one.
    pub fn add_template(&self, template: Resource) -> Result<(), Taken> {
        self.add(Kind::Template, template.finish("uriTemplate"))
    }

    /// Takes this template away; `false` if it is not there.
    pub fn remove_template(&self, template: &str) -> bool {
        self.remove(Kind::Template, template)
    }
}

/// Answers what is typed with what it could become.
pub(crate) fn completion<H: Handler<Completing, Vec<String>>>(handler: H) -> Completion {
    let handler = Arc::new(handler);
    Completion::new(move |typed, call, _| {
        guarded(
            || {
                let run = handler.run(typed, Ctx::of(call));
                Ok(async { Outcome::Values(run.await) })
            },
            crashed,
        )
    })
}
