//! Functions with an HTTP trigger: their routes, and their calls.

use super::app::{App, Called};
use super::function::{Binding, Refused};
use super::messages::{Data, InvocationRequest, ParameterBinding, RpcHttp, TypedData};
use super::start::fresh_id;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::HashMap;

/// A function with an HTTP trigger.
#[derive(Clone, Debug)]
pub struct HttpFunction {
    pub(super) id: String,
    pub(super) name: String,
    binding: String,
    route: Route,
    /// Empty for all methods.
    methods: Vec<Method>,
    level: HttpLevel,
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

/// A call of an HTTP function, found by its route.
#[derive(Clone, Debug)]
pub struct HttpCall {
    app: App,
    function: HttpFunction,
    parameters: HashMap<String, String>,
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

/// Finds the function for a request. `path` comes without the prefix of all routes.
pub(super) fn find(app: &App, functions: &[HttpFunction], method: &Method, path: &str) -> Option<HttpCall> {
    let fits = |function: &&HttpFunction| function.methods.is_empty() || function.methods.contains(method);
    let found = functions.iter().filter(fits).filter_map(|function| Some((function, function.route.parameters(path)?)));
    let (function, parameters) = found.min_by_key(|(function, _)| function.route.weight())?;
    Some(HttpCall { app: app.clone(), function: function.clone(), parameters })
}

impl HttpCall {
    /// The key that the caller needs.
    pub const fn level(&self) -> HttpLevel {
        self.function.level
    }

    /// Runs the function.
    pub async fn run(self, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let request = self.request(&head, body);
        let name = self.function.name.as_str();
        match self.app.call_http(name, request).await {
            Called::Value(Some(TypedData { data: Some(Data::Http(http)) })) => response(name, *http),
            Called::Value(Some(TypedData { data: Some(data) })) => plain(data),
            Called::Value(_) => empty(StatusCode::NO_CONTENT),
            Called::Failed => empty(StatusCode::INTERNAL_SERVER_ERROR),
            Called::Late => empty(StatusCode::GATEWAY_TIMEOUT),
            Called::Lost => empty(StatusCode::BAD_GATEWAY),
        }
    }

    fn request(&self, head: &Parts, body: Bytes) -> InvocationRequest {
        let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let query = head.uri.query().unwrap_or_default();
        let http = RpcHttp {
            method: head.method.to_string(),
            url: format!("http://{host}{path}"),
            headers: headers(&head.headers),
            params: self.parameters.clone(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().filter(|(name, _)| name != "code").collect(),
            body: (!body.is_empty()).then(|| Box::new(Data::Bytes(body).into())),
            ..RpcHttp::default()
        };
        let data = Some(TypedData::from(Data::Http(Box::new(http))));
        InvocationRequest {
            invocation_id: fresh_id(),
            function_id: self.function.id.clone(),
            input_data: vec![ParameterBinding { name: self.function.binding.clone(), data }],
            ..InvocationRequest::default()
        }
    }
}

/// The header fields of a request. The key of the caller is not among them.
fn headers(fields: &HeaderMap) -> HashMap<String, String> {
    let joined = |name: &HeaderName| {
        let values: Vec<_> =
            fields.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (name.as_str().to_owned(), values.join(","))
    };
    fields.keys().filter(|name| name.as_str() != "x-functions-key").map(joined).collect()
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// The response of a function that has returned a value instead of a response.
fn plain(data: Data) -> Response<Bytes> {
    let kind = if matches!(data, Data::Json(_)) { "application/json" } else { "text/plain; charset=utf-8" };
    let mut response = Response::new(bytes(data));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn bytes(data: Data) -> Bytes {
    match data {
        Data::String(text) | Data::Json(text) => text.into(),
        Data::Bytes(bytes) | Data::Stream(bytes) => bytes,
        Data::Int(number) => number.to_string().into(),
        Data::Double(number) => number.to_string().into(),
        Data::Http(_) => Bytes::new(),
    }
}

fn response(function: &str, http: RpcHttp) -> Response<Bytes> {
    let body = http.body.and_then(|body| body.data).map(bytes).unwrap_or_default();
    let mut response = Response::new(body);
    let status = match http.status_code.as_str() {
        "" => Some(StatusCode::OK),
        code => StatusCode::from_bytes(code.as_bytes()).ok(),
    };
    let Some(status) = status else {
        tracing::error!(function, status = http.status_code, "a function has answered with an invalid status");
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    *response.status_mut() = status;
    for (name, value) in http.headers {
        // RFC 9110 §7.6.1, RFC 9112 §6: the framing of the response is the server's.
        let is_framing =
            ["connection", "content-length", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own));
        match (HeaderName::try_from(&name), HeaderValue::try_from(&value)) {
            (Ok(name), Ok(value)) if !is_framing => drop(response.headers_mut().insert(name, value)),
            (Ok(_), Ok(_)) => {}
            _ => tracing::warn!(function, name, "a header field of a function is invalid and was left out"),
        }
    }
    if !http.cookies.is_empty() {
        tracing::warn!(
            function,
            "cookies of a response are not supported and were left out: set the header Set-Cookie"
        );
    }
    response
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
