//! Adding and removing tools, prompts, resources and templates at run time.

use super::add_error::AddError;
use super::changes::Changes;
use super::prompt::Prompt;
use super::resource::Resource;
use super::tool::Tool;
use attache_core::tool::Kind;

impl Changes {
    /// Adds a tool.
    ///
    /// # Errors
    /// If a tool with this name exists, or if the name or another member of the tool is invalid.
    ///
    /// # Panics
    /// If the schema of [`Tool::input_schema`] is invalid.
    #[track_caller]
    pub fn add_tool(&self, tool: Tool) -> Result<(), AddError> {
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
    /// If a prompt with this name exists, or if a member of the prompt is invalid.
    pub fn add_prompt(&self, prompt: Prompt) -> Result<(), AddError> {
        self.add(Kind::Prompt, prompt.finish())
    }

    /// Removes the prompt with this name. Returns `false` if there is none.
    pub fn remove_prompt(&self, name: &str) -> bool {
        self.remove(Kind::Prompt, name)
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// If a resource with this URI exists, or if the URI or another member is invalid.
    pub fn add_resource(&self, resource: Resource) -> Result<(), AddError> {
        self.add(Kind::Resource, resource.finish("uri"))
    }

    /// Removes the resource with this URI. Returns `false` if there is none.
    pub fn remove_resource(&self, uri: &str) -> bool {
        self.remove(Kind::Resource, uri)
    }

    /// Adds a template.
    ///
    /// # Errors
    /// If the same template exists, or if the template or another member is invalid.
    pub fn add_template(&self, template: Resource) -> Result<(), AddError> {
        self.add(Kind::Template, template.finish("uriTemplate"))
    }

    /// Removes this template. Returns `false` if it does not exist.
    pub fn remove_template(&self, template: &str) -> bool {
        self.remove(Kind::Template, template)
    }
}
