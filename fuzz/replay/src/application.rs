//! The application behind the `exchange` target: one or more entries of each kind, with pages,
//! mirrored arguments and subscriptions.

use attache_core::json::Text;
use attache_core::mcp::Server;
use attache_core::rpc::Code;
use attache_core::tool::{
    Call, Catalogue, Completing, Contents, Features, Kind, Member, Messages, Mirror, Nothing, Operation, Output, Read,
    Role, Tables, ToolError, ToolResult, Values,
};

attache_core::args! { pub(crate) struct Echo<'a> { /** what to say */ text: Text<'a> } }
attache_core::args! { pub(crate) struct Add { /** one summand */ a: i64, /** the other */ b: i64 } }
attache_core::args! { pub(crate) struct Route<'a> {
    /** where */ region: Option<Text<'a>>,
    /** how often */ count: Option<i64>,
    /** whether at all */ dry: Option<bool>,
} }
attache_core::tools! { pub(crate) mod tools for Demo {
    /// Say it again
    #[read_only] fn echo(Echo<'_>);
    /// The sum of two integers
    #[read_only] #[idempotent] fn add(Add);
    /// Has mirrored arguments
    fn route(Route<'_>);
    /// A block of each kind
    #[title = "Show \"all\""] fn show(Nothing);
    /// A structured result
    fn measure(Nothing);
    /// Asks the client first
    fn confirm(Nothing);
    /// Cannot go on without a capability of the client
    fn demand(Nothing);
} }

attache_core::args! { pub(crate) struct Greet<'a> {
    /** whom */ who: Text<'a>,
    /** how */ tone: Option<Text<'a>>,
} }
attache_core::prompts! { pub(crate) mod prompts for Demo {
    /// Greet a person
    #[title = "Greeting"] fn greet(Greet<'_>);
    /// Say nothing
    fn silence(Nothing);
    /// Fails
    fn broken(Nothing);
} }

attache_core::resources! { pub(crate) mod resources for Demo {
    /// Text
    "demo://plain" as "text/plain" => fn plain;
    /// Bytes
    "demo://blob" as "application/octet-stream" => fn blob;
    /// Listed, but not there
    "demo://gone" as "text/plain" => fn gone;
} templates {
    /// A part of an item
    "demo://item/{id}/part" as "text/plain" => fn part;
    /// A day's log at a level
    "demo://{day}-{level}" as "application/json" => fn log;
} }

/// The application as one call sees it.
pub(crate) struct Demo {
    /// Whether the handler can ask this caller (revision 2026-07-28 only).
    modern: bool,
    /// Whether the request carries the caller's answers.
    answered: bool,
}

/// Runs the handler that belongs to the call's operation.
pub(crate) fn answer(call: Call<'_>, out: &mut Output<'_>) -> ToolResult {
    let demo = Demo { modern: call.version().is_modern(), answered: call.request_meta().input_responses.is_some() };
    match call.operation() {
        Operation::Tool(_) => tools::dispatch(&demo, call, out),
        Operation::Prompt(_) => prompts::dispatch(&demo, call, out),
        Operation::Resource(_) | Operation::Template(_) => resources::dispatch(&demo, call, out),
        Operation::Complete(..) => complete(call.completing(), &mut out.values()),
    }
}

impl Demo {
    fn echo(&self, said: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text_with(|block| block.echo(said.text))
    }

    fn add(&self, summands: Add, out: &mut Output<'_>) -> ToolResult {
        match summands.a.checked_add(summands.b) {
            Some(sum) => {
                out.text(&sum.to_string())?;
                out.text("that is all")
            }
            None => {
                out.text("not sent")?;
                Err(ToolError::Failed(OVERFLOW))
            }
        }
    }

    fn route(&self, to: Route<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text_with(|block| to.region.map_or(Ok(()), |region| block.echo(region)))?;
        out.text_with(|block| to.count.map_or(Ok(()), |count| block.number(count)))?;
        out.text(if to.dry == Some(true) { "dry" } else { "" })
    }

    fn show(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("a \"text\"\u{1}")?;
        out.block(|block| block.image("image/png", &[0, 255, 1]))?;
        out.block(|block| block.audio("audio/wav", b""))?;
        out.block(|block| block.link("demo://plain", "plain"))?;
        out.block(|block| block.resource_text("demo://plain", "text/plain", "line\nline"))?;
        out.block(|block| block.resource_blob("demo://blob", "application/octet-stream", &[7; 4]))
    }

    fn measure(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("measured")?;
        out.structured(r#"{"celsius":21.5}"#)
    }

    fn confirm(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("taken back")?;
        match (self.modern, self.answered) {
            (true, false) => out.ask(QUESTION, Some("state")),
            (true, true) => out.text("confirmed"),
            (false, _) => out.fail("nobody can be asked"),
        }
    }

    fn demand(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        match self.modern {
            true => out.reject(
                Code::MissingClientCapability,
                "needs \"sampling\"",
                Some(r#"{"requiredCapabilities":{"sampling":{}}}"#),
            ),
            false => Err(ToolError::Failed("nobody can be asked")),
        }
    }

    fn greet(&self, greeted: Greet<'_>, out: &mut Messages<'_, '_>) -> ToolResult {
        out.message(Role::User, |block| block.text_with(|text| text.echo(greeted.who)))?;
        match greeted.tone {
            Some(tone) => out.message(Role::Assistant, |block| block.text_with(|text| text.echo(tone))),
            None => out.message(Role::Assistant, |block| block.link("demo://plain", "plain")),
        }
    }

    fn silence(&self, _: Nothing, _: &mut Messages<'_, '_>) -> ToolResult {
        Ok(())
    }

    fn broken(&self, _: Nothing, out: &mut Messages<'_, '_>) -> ToolResult {
        out.text(Role::User, "not sent")?;
        Err(ToolError::Failed("it is broken"))
    }

    fn plain(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.text("text/plain", "\"plain\"\n")
    }

    fn blob(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.blob("application/octet-stream", &[0xFF, 0])
    }

    fn gone(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.text("text/plain", "not sent")?;
        Err(ToolError::NotFound)
    }

    fn part(&self, read: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        let id = read.variable(resources::TEMPLATES[0].key(), "id").expect("the template was found by the URI");
        if id.is("none") {
            return Err(ToolError::NotFound);
        }
        out.text_with("text/plain", |text| text.echo(id))
    }

    fn log(&self, read: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        let template = resources::TEMPLATES[1].key();
        for name in ["day", "level"] {
            let value = read.variable(template, name).expect("the template was found by the URI");
            out.text_with("application/json", |text| text.echo(value))?;
        }
        Ok(())
    }
}

/// Completes an argument with the candidates that begin with the typed text. The candidates are 120
/// numbers, more than one answer may hold, and a text with quotes.
fn complete(typed: Completing<'_>, out: &mut Values<'_, '_>) -> ToolResult {
    if typed.argument().is("bad") {
        return Err(ToolError::Argument("bad"));
    }
    candidates().filter(|value| begins(value, typed.value())).try_for_each(|value| out.value(&value))
}

/// All candidates of a completion.
pub(crate) fn candidates() -> impl Iterator<Item = String> {
    (0..120).map(|number| number.to_string()).chain(["a \"b\"\n".to_owned()])
}

fn begins(value: &str, typed: Text<'_>) -> bool {
    let mut rest = value.chars();
    typed.chars().all(|char| rest.next() == Some(char))
}

/// The tables, with the features that tables alone cannot express: mirrored arguments and a
/// generation.
#[derive(Debug)]
pub(crate) struct Offers {
    tables: Tables<'static>,
}

impl Catalogue for Offers {
    fn len(&self, kind: Kind) -> usize {
        self.tables.len(kind)
    }

    fn key(&self, kind: Kind, index: usize) -> Option<&str> {
        self.tables.key(kind, index)
    }

    fn members<'s>(&'s self, kind: Kind, index: usize, take: &mut dyn FnMut(Member<'s>)) {
        self.tables.members(kind, index, take);
    }

    fn features(&self) -> Features {
        Features { logging: true, list_changed: true, subscribe: true, ..self.tables.features() }
    }

    fn mirror(&self, tool: usize, number: usize) -> Option<Mirror<'_>> {
        (tools::TOOLS.get(tool)?.key() == "route").then_some(())?;
        let (header, path) = MIRRORED.get(number)?;
        Some(Mirror { header, path })
    }

    fn generation(&self) -> u32 {
        GENERATION
    }
}

/// The headers of tool `route` and the arguments that they mirror.
pub(crate) const MIRRORED: [(&str, &str); 3] = [("Region", "/region"), ("Count", "/count"), ("Dry", "/dry")];
/// The number at the front of each cursor.
pub(crate) const GENERATION: u32 = 7;
/// The largest number of entries on a page of a list.
pub(crate) const PAGE: usize = 2;
pub(crate) const OVERFLOW: &str = "the sum is beyond 64 bits";
const QUESTION: &str = r#"{"sure":{"method":"elicitation/create","params":{"mode":"form","message":"Sure?","requestedSchema":{"type":"object","properties":{"yes":{"type":"boolean"}}}}}}"#;

pub(crate) static OFFERS: Offers = Offers {
    tables: Tables::of_tools(tools::TOOLS)
        .with_prompts(prompts::PROMPTS)
        .with_resources(resources::RESOURCES, resources::TEMPLATES)
        .with_completions(),
};

pub(crate) static SERVER: Server<'static> =
    Server::new("demo", "1.0", &OFFERS).with_page(PAGE).with_instructions("Ask for anything");
