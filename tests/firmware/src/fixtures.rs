//! What the public conformance suite wants to be offered, as far as a device offers such things (feature `fixtures`), in the place of the
//! board's application.

use attache_core::embassy::Changes;
use attache_core::json::{Text, Value};
use attache_core::mcp::Server;
use attache_core::tool::{
    Call, Completing, Contents, Level, Messages, Nothing, Operation, Output, Read, Role, Tables, ToolError, ToolResult,
};
use embassy_time::Timer;

attache_core::tools! { pub mod tools for Application {
    /// A text
    async fn test_simple_text(Nothing);
    /// An image
    async fn test_image_content(Nothing);
    /// A sound
    async fn test_audio_content(Nothing);
    /// A resource
    async fn test_embedded_resource(Nothing);
    /// A text, an image and a resource
    async fn test_multiple_content_types(Nothing);
    /// A failure
    async fn test_error_handling(Nothing);
    /// A text, after a while
    async fn test_tool_with_progress(Nothing);
    /// A text, and what was done for it
    async fn test_logging_tool(Nothing);
    /// A text, if the client samples
    async fn test_missing_capability(Nothing);
    /// A text, once a person has said his name
    async fn test_input_required_result_elicitation(Nothing);
    /// A text, once a person has said his name
    async fn test_streaming_elicitation(Nothing);
    /// A text that a model has written
    async fn test_input_required_result_sampling(Nothing);
    /// A text, once the client's roots are known
    async fn test_input_required_result_list_roots(Nothing);
    /// A text that a model has written, for whoever has one
    async fn test_input_required_result_capabilities(Nothing);
} }

attache_core::args! {
    /// Arguments of `test_prompt_with_arguments`.
    pub struct Two<'a> {
        /** the first */ arg1: Text<'a>,
        /** the second */ arg2: Text<'a>,
    }
}

attache_core::prompts! { pub mod prompts for Application {
    /// A text
    async fn test_simple_prompt(Nothing);
    /// A text with two arguments
    async fn test_prompt_with_arguments(Two<'_>);
    /// An image and a text
    async fn test_prompt_with_image(Nothing);
} }

attache_core::resources! { pub mod resources for Application {
    /// A text
    "test://static-text" as "text/plain" => async fn static_text;
    /// An image
    "test://static-binary" as "image/png" => async fn static_binary;
    /// A text that may change
    "test://watched-resource" as "text/plain" => async fn watched;
} templates {
    /// An object
    "test://template/{id}/data" as "application/json" => async fn data;
} }

const WATCHED: &str = "test://watched-resource";
const DATA: &str = "test://template/{id}/data";

static OFFERS: Tables<'static> = Tables::of_tools(tools::TOOLS)
    .with_prompts(prompts::PROMPTS)
    .with_resources(resources::RESOURCES, resources::TEMPLATES)
    .with_completions()
    .with_logging()
    .with_subscriptions();

/// Nothing changes.
pub static CHANGES: Changes<2> = Changes::new(["test://static-text", WATCHED]);

/// The server, in flash.
pub static SERVER: Server<'static> = Server::new("fixtures", env!("CARGO_PKG_VERSION"), &OFFERS);

/// A picture of one point, and a sound of none.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 6,
    0, 0, 0, 0x1F, 0x15, 0xC4, 0x89, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0x9C, 0x63, 0, 1, 0, 0, 5, 0, 1, 0x0D,
    0x0A, 0x2D, 0xB4, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xAE, 0x42, 0x60, 0x82,
];
const WAV: &[u8] = &[
    b'R', b'I', b'F', b'F', 36, 0, 0, 0, b'W', b'A', b'V', b'E', b'f', b'm', b't', b' ', 16, 0, 0, 0, 1, 0, 1, 0, 0x40,
    0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, b'd', b'a', b't', b'a', 0, 0, 0, 0,
];

/// Offers what the suite wants, and keeps nothing.
pub struct Application;

impl Application {
    /// As it always is.
    pub const fn new() -> Self {
        Self
    }

    /// Answers a call, whatever it asks for.
    pub async fn answer(&self, call: Call<'_>, out: &mut Output<'_>) -> ToolResult {
        if out_of_reach(&call) {
            return out.reject(
                attache_core::rpc::Code::MissingClientCapability,
                "the client cannot sample",
                Some(r#"{"requiredCapabilities":{"sampling":{}}}"#),
            );
        }
        if let Some(question) = open_question(&call) {
            return out.ask(question, None);
        }
        match call.operation() {
            Operation::Tool(_) => tools::dispatch(self, call, out).await,
            Operation::Prompt(_) => prompts::dispatch(self, call, out).await,
            Operation::Resource(_) | Operation::Template(_) => resources::dispatch(self, call, out).await,
            Operation::Complete(..) => Self::complete(call.completing(), out),
        }
    }

    fn complete(_: Completing<'_>, out: &mut Output<'_>) -> ToolResult {
        out.values().value("test")
    }

    async fn test_simple_text(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("This is a simple text response for testing.")
    }

    async fn test_image_content(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.block(|block| block.image("image/png", PNG))
    }

    async fn test_audio_content(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.block(|block| block.audio("audio/wav", WAV))
    }

    async fn test_embedded_resource(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        let text = "This is an embedded resource content.";
        out.block(|block| block.resource_text("test://embedded-resource", "text/plain", text))
    }

    async fn test_multiple_content_types(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        let object = r#"{"test":"data","value":123}"#;
        out.text("Multiple content types test:")?;
        out.block(|block| block.image("image/png", PNG))?;
        out.block(|block| block.resource_text("test://mixed-content-resource", "application/json", object))
    }

    async fn test_error_handling(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.fail("This tool intentionally returns an error for testing")
    }

    async fn test_tool_with_progress(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        for done in [0, 50, 100] {
            out.caller().progress(done, Some(100), None);
            Timer::after_millis(50).await;
        }
        out.text("done")
    }

    async fn test_logging_tool(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.caller().log(Level::Info, |log| log.push("at work")).await?;
        out.text("done")
    }

    async fn test_missing_capability(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("the client samples")
    }

    async fn test_input_required_result_elicitation(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("Hello!")
    }

    async fn test_streaming_elicitation(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("Hello!")
    }

    async fn test_input_required_result_sampling(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("so it says")
    }

    async fn test_input_required_result_list_roots(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("there they are")
    }

    async fn test_input_required_result_capabilities(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("so it says")
    }

    async fn test_simple_prompt(&self, _: Nothing, out: &mut Messages<'_, '_>) -> ToolResult {
        out.text(Role::User, "This is a simple prompt for testing.")
    }

    async fn test_prompt_with_arguments(&self, two: Two<'_>, out: &mut Messages<'_, '_>) -> ToolResult {
        out.message(Role::User, |block| {
            block.text_with(|text| {
                text.push("Prompt with arguments: arg1='")?;
                text.echo(two.arg1)?;
                text.push("', arg2='")?;
                text.echo(two.arg2)?;
                text.push("'")
            })
        })
    }

    async fn test_prompt_with_image(&self, _: Nothing, out: &mut Messages<'_, '_>) -> ToolResult {
        out.message(Role::User, |block| block.image("image/png", PNG))?;
        out.text(Role::User, "Please analyze the image above.")
    }

    async fn static_text(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.text("text/plain", "This is the content of the static text resource.")
    }

    async fn static_binary(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.blob("image/png", PNG)
    }

    async fn watched(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.text("text/plain", "as it was")
    }

    async fn data(&self, read: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        let id = read.variable(DATA, "id").ok_or(ToolError::NotFound)?;
        out.text_with("application/json", |text| {
            text.push(r#"{"id":""#)?;
            text.echo(id)?;
            text.push(r#"","templateTest":true,"data":"Data for ID: "#)?;
            text.echo(id)?;
            text.push(r#""}"#)
        })
    }
}

/// What is asked, by key: a name, a text, the roots.
const NAME: &str = r#"{"user_name":{"method":"elicitation/create","params":{"mode":"form","message":"What is your name?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}}}"#;
const CAPITAL: &str = r#"{"capital_question":{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"What is the capital of France?"}}],"maxTokens":100}}}"#;
const ROOTS: &str = r#"{"client_roots":{"method":"roots/list","params":{}}}"#;

/// What the tool asks first, if the request has no answer to it yet.
fn open_question(call: &Call<'_>) -> Option<&'static str> {
    let Operation::Tool(number) = call.operation() else { return None };
    let answers = call.request_meta().input_responses;
    let answered =
        |key: &str, by: &dyn Fn(Value<'_>) -> bool| answers.and_then(|answers| answers.member(key)).is_some_and(by);
    let (question, is_answered) = match tools::TOOLS.get(number)?.key() {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
            let has_name = |answer: Value<'_>| {
                let name = answer.member("content").and_then(|content| content.member("name"));
                name.is_some_and(|name| name.text().is_some())
            };
            (NAME, answered("user_name", &has_name))
        }
        "test_input_required_result_sampling" | "test_input_required_result_capabilities" => {
            (CAPITAL, answered("capital_question", &|answer| answer.member("content").is_some()))
        }
        "test_input_required_result_list_roots" => {
            (ROOTS, answered("client_roots", &|answer| answer.member("roots").is_some()))
        }
        _ => return None,
    };
    (!is_answered).then_some(question)
}

/// Whether the tool needs of the client what it has not.
fn out_of_reach(call: &Call<'_>) -> bool {
    let Operation::Tool(number) = call.operation() else { return false };
    let needs = tools::TOOLS.get(number).is_some_and(|tool| tool.key() == "test_missing_capability");
    let samples = || call.request_meta().client_capabilities.is_some_and(|all| all.member("sampling").is_some());
    needs && !samples()
}
