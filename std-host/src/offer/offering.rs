//! Adding and removing tools, prompts, resources and templates at run time.

use super::changes::{Changes, Completion};
use super::handler::{Ctx, Handler};
use super::prompt::Prompt;
use super::registry::NameTaken;
use super::resource::Resource;
use super::tool::Tool;
use crate::call::{CompletionRequest, Outcome, crashed, guarded};
use attache_core::tool::Kind;
use std::sync::Arc;

impl Changes {
    /// Adds a tool.
    ///
    /// # Errors
    /// If a tool with this name exists.
    ///
    /// # Panics
    /// Like [`ServerBuilder::with_tool`](crate::ServerBuilder::with_tool), except for a name that is taken.
    #[track_caller]
    pub fn add_tool(&self, tool: Tool) -> Result<(), NameTaken> {
        self.add(Kind::Tool, tool.finish())
    }

    /// Removes the tool with this name. Returns `false` if there is none. Running calls of the tool
    /// continue.
    pub fn remove_tool(&self, name: &str) -> bool {
        self.remove(Kind::Tool, name)
    }

    /// Adds a prompt.
    ///
    /// # Errors
    /// If a prompt with this name exists.
    pub fn add_prompt(&self, prompt: Prompt) -> Result<(), NameTaken> {
        self.add(Kind::Prompt, prompt.finish())
    }

    /// Removes the prompt with this name. Returns `false` if there is none.
    pub fn remove_prompt(&self, name: &str) -> bool {
        self.remove(Kind::Prompt, name)
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// If a resource with this URI exists.
    pub fn add_resource(&self, resource: Resource) -> Result<(), NameTaken> {
        self.add(Kind::Resource, resource.finish("uri"))
    }

    /// Removes the resource with this URI. Returns `false` if there is none.
    pub fn remove_resource(&self, uri: &str) -> bool {
        self.remove(Kind::Resource, uri)
    }

    /// Adds a template.
    ///
    /// # Errors
    /// If the same template exists.
    pub fn add_template(&self, template: Resource) -> Result<(), NameTaken> {
        self.add(Kind::Template, template.finish("uriTemplate"))
    }

    /// Removes this template. Returns `false` if it does not exist.
    pub fn remove_template(&self, template: &str) -> bool {
        self.remove(Kind::Template, template)
    }
}

/// Makes a completion from a handler that suggests values for the argument being typed.
pub(crate) fn completion<H: Handler<CompletionRequest, Vec<String>>>(handler: H) -> Completion {
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
