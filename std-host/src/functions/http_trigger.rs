//! Functions with an HTTP trigger, and their routes.

use super::binding::Binding;
use super::refused::Refused;
use super::route::Route;
use http::Method;
use serde_json::Value;
use std::collections::HashMap;

/// A function with an HTTP trigger.
#[derive(Clone, Debug)]
pub struct HttpFunction {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) binding: String,
    route: Route,
    /// Empty for all methods.
    methods: Vec<Method>,
    pub(super) level: HttpLevel,
}

/// The key that callers of an HTTP function need (`authLevel`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpLevel {
    /// None.
    Anonymous,
    /// A host key, or a key of the function.
    Function,
    /// The master key.
    Admin,
}

impl HttpFunction {
    /// Reads the bindings of a function with an HTTP trigger.
    pub(super) fn read(id: &str, name: &str, trigger: &Binding, bindings: &[Binding]) -> Result<Self, Refused> {
        let is_response = |binding: &&Binding| !(binding.is("http") || core::ptr::eq(*binding, trigger));
        if let Some(other) = bindings.iter().find(is_response) {
            let (binding, kind) = (other.name(), other.kind());
            let what = format!("function {name}: the binding {binding} of type {kind} is not supported");
            return Err(Refused::Unsupported(what));
        }
        let level = match trigger.text("authLevel").unwrap_or("function").to_ascii_lowercase().as_str() {
            "anonymous" => HttpLevel::Anonymous,
            "function" => HttpLevel::Function,
            "admin" => HttpLevel::Admin,
            other => {
                let what = format!("function {name}: authLevel {other:?} must be anonymous, function or admin");
                return Err(Refused::Invalid(what));
            }
        };
        let route = Route::read(trigger.text("route").unwrap_or(name))
            .map_err(|what| Refused::Unsupported(format!("function {name}: route: {what}")))?;
        let methods = trigger.value("methods").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let method = |method: &Value| Method::from_bytes(method.as_str()?.to_ascii_uppercase().as_bytes()).ok();
        Ok(Self {
            id: id.to_owned(),
            name: name.to_owned(),
            binding: trigger.name().to_owned(),
            route,
            methods: methods.iter().filter_map(method).collect(),
            level,
        })
    }

    /// The route, without the prefix of all routes.
    pub(super) const fn route(&self) -> &Route {
        &self.route
    }
}

/// Finds the function for a request, and the parameters of its route. `path` comes without the prefix of all routes.
pub(super) fn find<'f>(
    functions: &'f [HttpFunction],
    method: &Method,
    path: &str,
) -> Option<(&'f HttpFunction, HashMap<String, String>)> {
    let fits = |function: &&HttpFunction| function.methods.is_empty() || function.methods.contains(method);
    let found = functions.iter().filter(fits).filter_map(|function| Some((function, function.route.parameters(path)?)));
    found.min_by_key(|(function, _)| function.route.rank())
}
