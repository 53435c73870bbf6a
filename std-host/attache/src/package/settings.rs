//! The application settings that a package needs where it runs.

use crate::fault::Fault;
use attache_host::functions::{AppSettings, json_file, worker_runtime};
use serde_json::{Map, Value};
use std::path::Path;

/// The configuration of an app, as far as packages need it.
#[derive(Debug)]
pub(super) struct App {
    /// The language as `FUNCTIONS_WORKER_RUNTIME` names it, or `custom`.
    pub(super) language: String,
    /// The executable of a custom handler, as `host.json` names it.
    pub(super) handler: Option<String>,
    /// Whether the handler is an MCP server of its own.
    is_self_hosted: bool,
    pub(super) is_anonymous: bool,
    /// The names of the values of `local.settings.json`.
    pub(super) names: Vec<String>,
}

/// A member of an object, the names of which may have any case.
fn member<'v>(object: &'v Map<String, Value>, wanted: &str) -> Option<&'v Value> {
    object.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
}

fn at<'v>(object: &'v Map<String, Value>, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let value = member(object, first)?;
    if rest.is_empty() { Some(value) } else { at(value.as_object()?, rest) }
}

impl App {
    pub(super) fn read(directory: &Path) -> Result<Self, Fault> {
        let fault = |error: attache_host::functions::InvalidApp| Fault::of(error.to_string());
        let file = directory.join("host.json");
        let missing = || Fault::of(format!("{}: is missing: the directory is not a function app", file.display()));
        let host = json_file(&file).map_err(fault)?.ok_or_else(missing)?;
        let settings = AppSettings::read(directory).map_err(fault)?;
        let handler = at(&host, &["customHandler", "description", "defaultExecutablePath"]).and_then(Value::as_str);
        let language = match handler {
            Some(_) => "custom".to_owned(),
            None => worker_runtime(directory, &settings).ok_or_else(|| {
                Fault::of(format!(
                    "{}: the language of the app is unknown: it has no function_app.py, package.json, worker.config.json or \
                     customHandler, and FUNCTIONS_WORKER_RUNTIME is not set",
                    directory.display()
                ))
            })?,
        };
        let level = at(&host, &["extensions", "mcp", "system", "webhookAuthorizationLevel"]).and_then(Value::as_str);
        Ok(Self {
            language,
            handler: handler.map(str::to_owned),
            is_self_hosted: member(&host, "configurationProfile").is_some()
                || at(&host, &["customHandler", "enableProxyingHttpRequest"]) == Some(&Value::Bool(true)),
            is_anonymous: level.is_some_and(|level| level.eq_ignore_ascii_case("anonymous")),
            names: settings.names().map(str::to_owned).collect(),
        })
    }

    /// The settings for the platform, a line for each. Values of this machine are not among them.
    pub(super) fn for_platform(&self, directory: &Path) -> String {
        let mut lines = Vec::new();
        if self.is_self_hosted {
            lines.push((
                "AzureWebJobsFeatureFlags=EnableMcpCustomHandlerPreview",
                "the handler is an MCP server of its own",
            ));
        }
        if directory.join("requirements.txt").is_file() && self.is_self_hosted {
            lines.push((
                "PYTHONPATH=/home/site/wwwroot/.python_packages/lib/site-packages",
                "where the platform installs the packages of requirements.txt",
            ));
        }
        lines.push((
            "WEBSITE_AUTH_PRM_DEFAULT_WITH_SCOPES=SCOPES",
            "only with the platform's built-in authorization: the scopes of the app registration, such as api://CLIENT_ID/user_impersonation",
        ));
        let mut text = "Application settings to set:\n".to_owned();
        lines.iter().for_each(|(setting, why)| text.push_str(&format!("  {setting}  ({why})\n")));
        text + &self.own()
    }

    /// The names of the settings of the app itself.
    pub(super) fn own(&self) -> String {
        let set = ["FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsFeatureFlags", "IsEncrypted"];
        let is_own = |name: &&String| !set.contains(&name.as_str());
        self.names
            .iter()
            .filter(is_own)
            .map(|name| format!("  {name}=…  (local.settings.json has a value for this machine)\n"))
            .collect()
    }
}
