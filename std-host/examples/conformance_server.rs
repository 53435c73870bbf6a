//! The server for the public conformance suite: tools, prompts and resources with the names that the
//! suite calls.
//!
//! `cargo run --release -p attache-host --example conformance_server -- --listen 127.0.0.1:8080`

use attache_host::{
    Ask, CompletionRequest, Content, Contents, Ctx, Elicited, Level, NoArgs, Prompt, PromptOutput, Resource,
    ResourceRequest, Role, Server, ServerBuilder, Tool, ToolError, ToolOutput,
};
use core::time::Duration;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => "127.0.0.1:8080".to_owned(),
        (Some("--listen"), Some(address)) => address,
        _ => return Err(std::io::Error::other("usage: conformance_server [--listen ADDR]")),
    };
    let server = Server::new("conformance", "1.0").logging().subscriptions();
    let server = legacy(questions(resources(prompts(tools(server)))));
    let router: axum::Router = server.routes();
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("Serving MCP on http://{}/mcp", listener.local_addr()?);
    axum::serve(listener, router).await
}

fn tools(server: ServerBuilder) -> ServerBuilder {
    server
        .tool("test_simple_text", "One text", async |_: NoArgs, _: Ctx| "This is a simple text response for testing.")
        .tool("test_image_content", "One image", async |_: NoArgs, _: Ctx| image())
        .tool("test_audio_content", "One sound", async |_: NoArgs, _: Ctx| Content::Audio {
            mime_type: "audio/wav".to_owned(),
            data: WAV.to_vec(),
        })
        .tool("test_embedded_resource", "One embedded resource", async |_: NoArgs, _: Ctx| {
            embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
        })
        .tool("test_multiple_content_types", "A text, an image and a resource", async |_: NoArgs, _: Ctx| {
            ToolOutput::new([
                Content::text("Multiple content types test:"),
                image(),
                embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
            ])
        })
        .tool("test_error_handling", "Fails on purpose", async |_: NoArgs, _: Ctx| {
            Err::<(), _>(ToolError::user("This tool intentionally returns an error for testing"))
        })
        .tool("test_tool_with_progress", "Tells of its progress", async |_: NoArgs, ctx: Ctx| {
            for progress in [0.0, 50.0, 100.0] {
                ctx.progress(progress, Some(100.0), None).await;
                sleep(STEP).await;
            }
            "Done."
        })
        .tool("test_logging_tool", "Writes to the client's log, if it wants that", async |_: NoArgs, ctx: Ctx| {
            ctx.log(Level::Info, "Tool execution started").await;
            sleep(STEP).await;
            ctx.log(Level::Info, "Tool execution completed").await;
            "Logged."
        })
        .tool("test_tool_with_logging", "Writes three messages to the client's log", async |_: NoArgs, ctx: Ctx| {
            for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                ctx.log(Level::Info, message).await;
                sleep(STEP).await;
            }
            "Logged."
        })
        .tool(
            "test_trigger_tool_change",
            "Tells subscriptions that the tools have changed",
            async |_: NoArgs, ctx: Ctx| {
                ctx.changes().tools();
            },
        )
        .tool(
            "test_trigger_prompt_change",
            "Tells subscriptions that the prompts have changed",
            async |_: NoArgs, ctx: Ctx| {
                ctx.changes().prompts();
            },
        )
        .tool("test_x_mcp_header", "Mirrors an argument in a header", async |of: Region, _: Ctx| {
            format!("region: {}", of.region.unwrap_or_default())
        })
        .with_tool(
            Tool::new(
                "json_schema_2020_12_tool",
                "Lists a schema with many keywords",
                async |contact: Contact, _: Ctx| format!("{contact:?}"),
            )
            .input_schema(json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "$defs": {"address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
                }},
                "properties": {
                    "name": {"type": "string"},
                    "address": {"$ref": "#/$defs/address"},
                    "contactMethod": {"type": "string", "enum": ["phone", "email"]},
                    "phone": {"type": "string"},
                    "email": {"type": "string"},
                },
                "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
                "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
                "then": {"required": ["phone"]},
                "else": {"required": ["email"]},
                "additionalProperties": false,
            })),
        )
}

#[derive(Deserialize, JsonSchema)]
struct Region {
    /// where to run
    #[serde(default)]
    #[schemars(with = "String", extend("x-mcp-header" = "Region"))]
    region: Option<String>,
}

/// The arguments of `json_schema_2020_12_tool`, which declares a more detailed schema itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "printed")]
struct Contact {
    name: Option<String>,
    address: Option<Value>,
    contact_method: Option<String>,
    phone: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct TwoArguments {
    /// the first
    arg1: String,
    /// the second
    arg2: String,
}

#[derive(Deserialize, JsonSchema)]
struct ResourceUri {
    /// the URI to embed
    #[serde(rename = "resourceUri")]
    resource_uri: String,
}

fn prompts(server: ServerBuilder) -> ServerBuilder {
    server
        .with_prompt(Prompt::new(
            "test_simple_prompt",
            "No arguments",
            async |_: NoArgs, _: Ctx| "This is a simple prompt for testing.",
        ))
        .with_prompt(Prompt::new("test_prompt_with_arguments", "Two arguments", async |of: TwoArguments, _: Ctx| {
            format!("Prompt with arguments: arg1='{}', arg2='{}'", of.arg1, of.arg2)
        }))
        .with_prompt(Prompt::new(
            "test_prompt_with_embedded_resource",
            "Embeds a resource",
            async |of: ResourceUri, _: Ctx| {
                user([
                    embedded(&of.resource_uri, "text/plain", "Embedded resource content for testing."),
                    Content::text("Please process the embedded resource above."),
                ])
            },
        ))
        .with_prompt(Prompt::new("test_prompt_with_image", "Shows an image", async |_: NoArgs, _: Ctx| {
            user([image(), Content::text("Please analyze the image above.")])
        }))
        .with_prompt(Prompt::new(
            "test_input_required_result_prompt",
            "Asks for its context",
            async |_: NoArgs, ctx: Ctx| {
                let context = ask_text(&ctx, "user_context", "What context should the prompt use?", "context")?;
                Ok(format!("Context: {context}"))
            },
        ))
        .completion(async |typed: CompletionRequest, _: Ctx| {
            ["test", "testing"]
                .into_iter()
                .filter(|value| value.starts_with(typed.value()))
                .map(str::to_owned)
                .collect()
        })
}

fn resources(server: ServerBuilder) -> ServerBuilder {
    server
        .with_resource(
            Resource::new(
                "test://static-text",
                "Static text",
                "text/plain",
                async |_: ResourceRequest, _: Ctx| "This is the content of the static text resource.",
            )
            .description("A text that never changes"),
        )
        .with_resource(
            Resource::new("test://static-binary", "Static image", "image/png", async |_: ResourceRequest, _: Ctx| {
                Contents::blob(PNG)
            })
            .description("An image that never changes"),
        )
        .with_resource(
            Resource::new(
                "test://watched-resource",
                "Watched",
                "text/plain",
                async |_: ResourceRequest, _: Ctx| "Watch me.",
            )
            .description("A text to subscribe to"),
        )
        .with_template(
            Resource::new(
                "test://template/{id}/data",
                "Template",
                "application/json",
                async |read: ResourceRequest, _: Ctx| {
                    let id = read.variable("id");
                    json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")}).to_string()
                },
            )
            .description("Data by number"),
        )
}

/// The tools that ask the client a question.
fn questions(server: ServerBuilder) -> ServerBuilder {
    server
        .tool("test_missing_capability", "Needs the client's model", async |_: NoArgs, ctx: Ctx| {
            if !ctx.can_ask(&sample()) {
                ctx.ask("needed", sample())?;
            }
            Ok("The client has a model.")
        })
        .tool("test_streaming_elicitation", "Asks the person", async |_: NoArgs, ctx: Ctx| {
            ctx.progress(1.0, None, None).await;
            ask_text(&ctx, "user_name", "What is your name?", "name")
        })
        .tool("test_input_required_result_elicitation", "Asks for a name", async |_: NoArgs, ctx: Ctx| {
            let name = ask_text(&ctx, "user_name", "What is your name?", "name")?;
            Ok(format!("Hello, {name}!"))
        })
        .tool("test_input_required_result_sampling", "Asks the client's model", async |_: NoArgs, ctx: Ctx| {
            let answer = ctx.ask("capital_question", sample())?;
            Ok(answer["content"]["text"].as_str().unwrap_or_default().to_owned())
        })
        .tool("test_input_required_result_list_roots", "Asks for the roots", async |_: NoArgs, ctx: Ctx| {
            let roots = ctx.ask("client_roots", Ask::Roots)?;
            Ok(roots["roots"].to_string())
        })
        .tool("test_input_required_result_request_state", "Keeps something meanwhile", async |_: NoArgs, ctx: Ctx| {
            ask_ok(&ctx)?;
            Ok(if ctx.saved::<u8>() == Some(1) { "state-ok" } else { "state-lost" })
        })
        .tool("test_input_required_result_tampered_state", "Keeps something meanwhile", async |_: NoArgs, ctx: Ctx| {
            ask_ok(&ctx)?;
            Ok("The state is whole.")
        })
        .tool("test_input_required_result_multiple_inputs", "Asks three things at once", async |_: NoArgs, ctx: Ctx| {
            ctx.save(&1)?;
            let [name, greeting, roots] = ctx.ask_all([
                ("user_name", Ask::form("What is your name?", schema("name", "string"))),
                ("greeting", Ask::sample("Generate a greeting", 50)),
                ("client_roots", Ask::Roots),
            ])?;
            Ok(format!("{name} {greeting} {roots}"))
        })
        .tool(
            "test_input_required_result_multi_round",
            "Asks one thing after the other",
            async |_: NoArgs, ctx: Ctx| {
                ctx.save(&1)?;
                let name = ask_text(&ctx, "step1", "Step 1: What is your name?", "name")?;
                ctx.save(&2)?;
                let color = ask_text(&ctx, "step2", "Step 2: What is your favorite color?", "color")?;
                Ok(format!("{name} likes {color}."))
            },
        )
        .tool(
            "test_input_required_result_capabilities",
            "Asks what the client can answer",
            async |_: NoArgs, ctx: Ctx| {
                let form = Ask::form("What is your name?", schema("name", "string"));
                if ctx.can_ask(&sample()) {
                    ctx.ask("capital_question", sample())?;
                } else if ctx.can_ask(&form) {
                    ctx.ask("user_name", form)?;
                }
                Ok("Asked.")
            },
        )
}

#[derive(Deserialize, JsonSchema)]
struct Prompted {
    prompt: String,
}

#[derive(Deserialize, JsonSchema)]
struct Message {
    message: String,
}

/// The tools that the suite calls only with the older revisions.
fn legacy(server: ServerBuilder) -> ServerBuilder {
    server
        .tool("test_sampling", "Asks the client's model", async |of: Prompted, ctx: Ctx| {
            let answer = ctx.ask("prompt", Ask::sample(&of.prompt, 100))?;
            Ok(format!("LLM response: {}", answer["content"]["text"].as_str().unwrap_or_default()))
        })
        .tool("test_elicitation", "Asks the person", async |of: Message, ctx: Ctx| {
            let text = json!({"type": "string"});
            let fields = json!({"username": text, "email": text});
            let form = json!({"type": "object", "properties": fields, "required": ["username", "email"]});
            let answer = ctx.ask("person", Ask::form(&of.message, form))?;
            Ok(format!("User response: {answer}"))
        })
        .tool("test_elicitation_sep1034_defaults", "Asks with defaults", async |_: NoArgs, ctx: Ctx| {
            form(
                &ctx,
                json!({
                    "name": {"type": "string", "default": "John Doe"},
                    "age": {"type": "integer", "default": 30},
                    "score": {"type": "number", "default": 95.5},
                    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
                    "verified": {"type": "boolean", "default": true},
                }),
            )
        })
        .tool("test_elicitation_sep1330_enums", "Asks for choices", async |_: NoArgs, ctx: Ctx| {
            let titled =
                |values: [&str; 3]| Value::from(values.map(|value| json!({"const": value, "title": value})).to_vec());
            form(
                &ctx,
                json!({
                    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
                    "titledSingle": {"type": "string", "oneOf": titled(["value1", "value2", "value3"])},
                    "legacyEnum": {
                        "type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"],
                    },
                    "untitledMulti": {
                        "type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]},
                    },
                    "titledMulti": {"type": "array", "items": {"anyOf": titled(["value1", "value2", "value3"])}},
                }),
            )
        })
        .tool("test_reconnection", "Takes its time", async |_: NoArgs, ctx: Ctx| {
            ctx.log(Level::Info, "Waiting").await;
            sleep(2 * STEP).await;
            "Done."
        })
}

fn form(ctx: &Ctx, properties: Value) -> Result<String, ToolError> {
    let answer = ctx.ask("form", Ask::form("Fill it in", json!({"type": "object", "properties": properties})))?;
    Ok(format!("Elicitation completed: action={}, content={}", answer["action"], answer["content"]))
}

fn ask_ok(ctx: &Ctx) -> Result<(), ToolError> {
    if ctx.saved::<u8>().is_none() {
        ctx.save(&1)?;
    }
    ctx.elicit("confirm", "Go on?", schema("ok", "boolean")).map(|_| ())
}

/// Returns the value that the user enters in the only field of a form.
fn ask_text(ctx: &Ctx, key: &str, message: &str, field: &str) -> Result<String, ToolError> {
    match ctx.elicit(key, message, schema(field, "string"))? {
        Elicited::Accepted(content) => match content.get(field).and_then(Value::as_str) {
            Some(text) => Ok(text.to_owned()),
            None => Err(ToolError::user(format!("{field} is missing in the answer"))),
        },
        _ => Err(ToolError::user("the person did not answer")),
    }
}

fn sample() -> Ask {
    Ask::sample("What is the capital of France?", 100)
}

/// The schema of a form with one field.
fn schema(field: &str, of: &str) -> Value {
    json!({"type": "object", "properties": {field: {"type": of}}, "required": [field]})
}

fn user(contents: impl IntoIterator<Item = Content>) -> PromptOutput {
    PromptOutput::new(contents.into_iter().map(|content| (Role::User, content)))
}

fn image() -> Content {
    Content::Image { mime_type: "image/png".to_owned(), data: PNG.to_vec() }
}

fn embedded(uri: &str, mime_type: &str, text: &str) -> Content {
    Content::Resource { uri: uri.to_owned(), mime_type: mime_type.to_owned(), text: text.to_owned() }
}

/// The interval that the suite expects between two events.
const STEP: Duration = Duration::from_millis(50);

/// One red pixel.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1, 8,
    2, 0, 0, 0, 0x90, 0x77, 0x53, 0xDE, 0, 0, 0, 0x0C, 0x49, 0x44, 0x41, 0x54, 8, 0xD7, 0x63, 0xF8, 0xCF, 0xC0, 0, 0,
    3, 1, 1, 0, 0x18, 0xDD, 0x8D, 0xB0, 0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

/// A sound of no samples: mono, 8 kHz, 8 bits.
const WAV: &[u8] = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\0\0\0\0";
