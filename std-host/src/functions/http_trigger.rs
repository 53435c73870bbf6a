//! Functions with an HTTP trigger, and their routes.

use super::binding::Binding;
use super::refused::Refused;
use http::Method;
use percent_encoding::percent_decode_str;
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

/// The parts of a route between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Parameter {
        name: String,
        is_optional: bool,
    },
    /// `{*name}`
    Rest(String),
}

impl Route {
    fn read(text: &str) -> Self {
        let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => Part::Literal(part.to_owned()),
            Some(inside) => match inside.strip_prefix('*') {
                Some(name) => Part::Rest(name.to_owned()),
                None => {
                    // A constraint such as `{id:int}` belongs to the platform's router.
                    let name = inside.split([':', '=']).next().unwrap_or(inside);
                    let is_optional = inside.ends_with('?') || inside.contains('=');
                    Part::Parameter { name: name.trim_end_matches('?').to_owned(), is_optional }
                }
            },
        };
        Self(text.split('/').filter(|part| !part.is_empty()).map(part).collect())
    }

    /// Returns the parameters of a path that fits.
    fn parameters(&self, path: &str) -> Option<HashMap<String, String>> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut given = path.split('/').filter(|part| !part.is_empty());
        let mut parameters = HashMap::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => {
                    given.next().filter(|given| decoded(given).eq_ignore_ascii_case(literal))?;
                }
                Part::Parameter { name, is_optional } => match given.next() {
                    Some(value) => drop(parameters.insert(name.clone(), decoded(value))),
                    None if *is_optional => {}
                    None => return None,
                },
                Part::Rest(name) => {
                    let rest: Vec<String> = given.by_ref().map(decoded).collect();
                    parameters.insert(name.clone(), rest.join("/"));
                }
            }
        }
        given.next().is_none().then_some(parameters)
    }

    /// Routes with fewer parameters are tried first.
    fn weight(&self) -> usize {
        let of = |part: &Part| match part {
            Part::Literal(_) => 0,
            Part::Parameter { .. } => 1,
            Part::Rest(_) => 100,
        };
        self.0.iter().map(of).sum()
    }
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
        let methods = trigger.value("methods").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let method = |method: &Value| Method::from_bytes(method.as_str()?.to_ascii_uppercase().as_bytes()).ok();
        Ok(Self {
            id: id.to_owned(),
            name: name.to_owned(),
            binding: trigger.name().to_owned(),
            route: Route::read(trigger.text("route").unwrap_or(name)),
            methods: methods.iter().filter_map(method).collect(),
            level,
        })
    }

    /// The route as the app has it, without the prefix of all routes.
    pub(super) fn describe(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(literal) => literal.clone(),
            Part::Parameter { name, is_optional } => format!("{{{name}{}}}", if *is_optional { "?" } else { "" }),
            Part::Rest(name) => format!("{{*{name}}}"),
        };
        self.route.0.iter().map(part).collect::<Vec<_>>().join("/")
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
    found.min_by_key(|(function, _)| function.route.weight())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_fits_paths_and_takes_their_parameters() {
        let of = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<HashMap<_, _>>())
        };
        for (route, path, expected) in [
            ("hello", "/Hello/", of(&[])),
            ("hello", "/hello/there", None),
            ("items/{id:int}", "/items/7", of(&[("id", "7")])),
            ("items/{id}", "/items/a%20b", of(&[("id", "a b")])),
            ("items/{id}", "/items", None),
            ("items/{id?}", "/items", of(&[])),
            ("files/{*rest}", "/files/a/b", of(&[("rest", "a/b")])),
            ("{*rest}", "/", of(&[("rest", "")])),
        ] {
            assert_eq!(Route::read(route).parameters(path), expected, "{route} {path}");
        }
        assert!(Route::read("a/b").weight() < Route::read("a/{b}").weight());
        assert!(Route::read("a/{b}").weight() < Route::read("{*rest}").weight());
    }
}
