//! Calls of functions with an HTTP trigger.

use super::app::{App, Called};
use super::http_cookie::set_cookie;
use super::http_trigger::{HttpFunction, HttpLevel};
use super::messages::{Data, InvocationRequest, ParameterBinding, RpcHttp, TypedData};
use super::results;
use super::start::fresh_id;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request::Parts};
use std::collections::HashMap;

/// A call of an HTTP function, found by its route.
#[derive(Clone, Debug)]
pub struct HttpCall {
    app: App,
    function: HttpFunction,
    parameters: HashMap<String, String>,
}

impl App {
    /// Finds the function with an HTTP trigger for a request.
    pub fn http_call(&self, method: &Method, path: &str) -> Option<HttpCall> {
        let (function, parameters) = self.find_http(method, path)?;
        Some(HttpCall { app: self.clone(), function, parameters })
    }
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
    let kind = if data.is_json() { "application/json" } else { "text/plain; charset=utf-8" };
    let mut response = Response::new(bytes(data));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn bytes(data: Data) -> Bytes {
    match data {
        Data::Bytes(bytes) | Data::Stream(bytes) => bytes,
        // A response in a response has no text.
        data => results::text(data).unwrap_or_default().into(),
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
    for cookie in &http.cookies {
        match set_cookie(cookie) {
            Some(value) => drop(response.headers_mut().append(http::header::SET_COOKIE, value)),
            None => tracing::warn!(function, name = cookie.name, "a cookie of a function is invalid and was left out"),
        }
    }
    response
}
