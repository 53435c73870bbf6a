//! A client for the public conformance suite. The URL of the suite's server is the last argument,
//! and the scenario is in the environment.
//!
//! `conformance client --command target/debug/examples/conformance_client --suite core`

use attache_host::client::{
    Call, Client, ClientBuilder, Credential, Error, Event, List, Question, QuestionMethod, RawJson, Request, SignIn,
    Version,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<(), Box<dyn core::error::Error>> {
    let url = std::env::args().next_back().ok_or("usage: conformance_client URL")?;
    let scenario = std::env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let client = connected(&url, scenario.starts_with("auth/")).await?;
    match scenario.as_str() {
        "initialize" => {}
        "sep-2322-client-request-state" => request_state(&client).await?,
        "http-custom-headers" => custom_headers(&client).await?,
        "json-schema-2020-12-preservation" => echo_schema(&client).await?,
        "json-schema-ref-no-deref" => drop(client.list(List::Tools).await?),
        "elicitation-sep1034-client-defaults" => {
            client.list(List::Tools).await?;
            client.call("test_client_elicitation_defaults", RawJson::empty_object()).await?;
        }
        "http-invalid-tool-headers" => {
            for tool in client.list(List::Tools).await? {
                client.call(&name(&tool), arguments(&tool)).await?;
            }
        }
        _ => use_all(&client).await?,
    }
    client.close().await;
    Ok(())
}

/// Connects with the revision that the suite names.
async fn connected(url: &str, signs_in: bool) -> Result<Client, Error> {
    let version = std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").ok();
    let version = version.and_then(|date| Version::parse(date.as_bytes()));
    let capabilities = json!({"elicitation": {"form": {"applyDefaults": true}}, "sampling": {}, "roots": {}});
    let capabilities = RawJson::of(&capabilities).unwrap_or_else(|_| RawJson::empty_object());
    let builder = || -> ClientBuilder {
        Client::builder("attache-conformance", "1.0").capabilities(capabilities.clone()).answers(answer)
    };
    let builder = || -> Result<ClientBuilder, Error> {
        match signs_in {
            true => Ok(builder().credential(Credential::Source(Arc::new(sign_in(url)?)))),
            false => Ok(builder()),
        }
    };
    match version {
        Some(version) => builder()?.version(version).http(url).await,
        None => builder()?.http(url).await,
    }
}

/// A sign-in with the client of the scenario, at the suite's authorization server, which shows no page to a person.
fn sign_in(url: &str) -> Result<SignIn, Error> {
    let context: Value = std::env::var("MCP_CONFORMANCE_CONTEXT")
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let sign_in = SignIn::new("attache-conformance", url)?
        .client_document("https://conformance-test.local/client-metadata.json")
        .on_page(|_, page| {
            let page = page.to_owned();
            tokio::spawn(async move { visit(&page).await });
        });
    Ok(match context["client_id"].as_str() {
        Some(id) => sign_in.client(id, context["client_secret"].as_str().map(str::to_owned)),
        None => sign_in,
    })
}

/// Opens a page, and follows its redirects.
async fn visit(page: &str) -> Result<(), Box<dyn core::error::Error + Send + Sync>> {
    let mut url = page.to_owned();
    while let Some(rest) = url.strip_prefix("http://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let mut stream = TcpStream::connect(authority).await?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let location = answer.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location").then(|| value.to_owned())
        });
        url = location.unwrap_or_default();
    }
    Ok(())
}

/// Lists everything, and uses each entry once.
async fn use_all(client: &Client) -> Result<(), Error> {
    for tool in client.list(List::Tools).await? {
        let request = Request::call(&name(&tool), arguments(&tool)).progress();
        let _ = finished(client.start(request)).await?;
    }
    for resource in client.list(List::Resources).await? {
        let uri = resource.member("uri").and_then(|uri| uri.string()).unwrap_or_default();
        client.read(&uri).await?;
    }
    for prompt in client.list(List::Prompts).await? {
        client.prompt(&name(&prompt), RawJson::empty_object()).await?;
    }
    Ok(())
}

async fn finished(mut call: Call) -> Result<RawJson, Error> {
    loop {
        if let Event::Done(done) = call.next().await {
            return done;
        }
    }
}

/// Calls the tools of the scenario, with an unrelated call between the rounds of the first one.
async fn request_state(client: &Client) -> Result<(), Box<dyn core::error::Error>> {
    client.list(List::Tools).await?;
    let echo = || Request::call("test_mrtr_echo_state", RawJson::empty_object());
    let first = client.request(echo().keep_questions()).await?;
    client.call("test_mrtr_unrelated", RawJson::empty_object()).await?;
    let questions = first.member("inputRequests").unwrap_or_else(RawJson::empty_object);
    let answers: Value = questions
        .members()
        .map(|(key, _)| (key, json!({"action": "accept", "content": {"confirmed": true}})))
        .collect();
    let mut again = echo().param("inputResponses", RawJson::of(&answers)?);
    if let Some(state) = first.member("requestState") {
        again = again.param("requestState", state);
    }
    client.request(again).await?;
    client.call("test_mrtr_no_state", RawJson::empty_object()).await?;
    client.call("test_mrtr_no_result_type", RawJson::empty_object()).await?;
    Ok(())
}

/// Makes the calls that the suite expects to be mirrored in headers.
async fn custom_headers(client: &Client) -> Result<(), Box<dyn core::error::Error>> {
    client.list(List::Tools).await?;
    let context: Value = serde_json::from_str(&std::env::var("MCP_CONFORMANCE_CONTEXT")?)?;
    for call in context["toolCalls"].as_array().into_iter().flatten() {
        let tool = call["name"].as_str().unwrap_or_default();
        client.call(tool, RawJson::of(&call["arguments"])?).await?;
    }
    Ok(())
}

/// Sends the schema of the first tool back, byte by byte.
async fn echo_schema(client: &Client) -> Result<(), Box<dyn core::error::Error>> {
    let tools = client.list(List::Tools).await?;
    let echo = tools.iter().find(|tool| name(tool).contains("echo")).ok_or("no tool that echoes")?;
    let rich = tools.iter().find(|tool| name(tool) != name(echo)).ok_or("no tool with a schema")?;
    let schema = rich.member("inputSchema").ok_or("no schema")?;
    client.call(&name(echo), RawJson::parse(format!("{{\"schema\":{schema}}}"))?).await?;
    Ok(())
}

fn name(entry: &RawJson) -> String {
    entry.member("name").and_then(|name| name.string()).unwrap_or_default()
}

/// Returns arguments of the right types for each required property.
fn arguments(tool: &RawJson) -> RawJson {
    let schema: Value = tool.member("inputSchema").and_then(|schema| schema.read().ok()).unwrap_or_default();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let made = required.iter().filter_map(Value::as_str).map(|name| {
        let value = match schema["properties"][name]["type"].as_str() {
            Some("number" | "integer") => json!(2),
            Some("boolean") => json!(true),
            Some("object") => json!({}),
            Some("array") => json!([]),
            _ => json!("text"),
        };
        (name.to_owned(), value)
    });
    RawJson::of(&made.collect::<Value>()).unwrap_or_else(|_| RawJson::empty_object())
}

/// Accepts forms with their defaults, and answers in place of the model and the roots.
async fn answer(question: Question) {
    let result = match question.method {
        QuestionMethod::Elicitation => {
            let schema: Value =
                question.params.member("requestedSchema").and_then(|schema| schema.read().ok()).unwrap_or_default();
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            let filled = properties.iter().map(|(name, property)| {
                let default = property.get("default").cloned();
                (
                    name.clone(),
                    default.unwrap_or_else(|| match property["type"].as_str() {
                        Some("boolean") => json!(true),
                        Some("number" | "integer") => json!(1),
                        _ => json!("text"),
                    }),
                )
            });
            json!({"action": "accept", "content": filled.collect::<Value>()})
        }
        QuestionMethod::Sampling => {
            json!({"role": "assistant", "model": "none", "content": {"type": "text", "text": "a sample"}})
        }
        _ => json!({"roots": []}),
    };
    match RawJson::of(&result) {
        Ok(result) => question.answer(result),
        Err(error) => question.refuse(-32603, error.to_string()),
    }
}
