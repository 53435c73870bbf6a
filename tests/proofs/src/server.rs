//! The server of the proofs, with tools that take every type of argument.

use crate::foreign::Foreign;
use attache_core::auth::{Access, Authenticated};
use attache_core::json::Text;
use attache_core::mcp::Server;
use attache_core::tool::{
    Completing, Contents, Fixed, List, Messages, Nothing, Operation, OrFail, Output, Read, Role, Tables, ToolError,
    ToolResult, Values, Within,
};
use core::hint::black_box;

attache_core::args! {
    /// Each type that an argument can have.
    pub struct Every<'a> {
        /** a truth value */ truth: bool,
        /** a string */ text: Text<'a>,
        /** 8 bits */ u8: u8,
        /** 8 bits */ i8: i8,
        /** 16 bits */ u16: u16,
        /** 16 bits */ i16: i16,
        /** 32 bits */ u32: u32,
        /** 32 bits */ i32: i32,
        /** 64 bits */ u64: u64,
        /** 64 bits */ i64: i64,
        /** a range */ within: Within<u8, 0, 100>,
        /** a decimal */ fixed: Fixed<1, 50, 300>,
        /** a float */ single: f32,
        /** a float */ double: f64,
        /** a closed set */ choice: Choice,
        /** a text in place */ plain: &'a str,
        /** a text of one's own */ owned: heapless::String<8>,
        /** an array */ three: [u8; 3],
        /** an array of one's own */ some: heapless::Vec<u16, 4>,
        /** an array in place */ many: List<'a, Point>,
        /** a nested struct */ point: Point,
        /** has a default */ default: u8 = 7,
    }
}

attache_core::args! {
    /// A closed set.
    pub enum Choice { One, TwoWords, Three = "3" }
}

attache_core::args! {
    /// A nested struct.
    pub struct Point {
        /** to the right */ x: i8,
        /** up */ y: Option<i8>,
        /** deeper */ choice: Choice = "one",
    }
}

attache_core::results! {
    /// A result with members of each type.
    pub struct Outcome<'a> {
        /** a truth value */ truth: bool,
        /** a number */ number: i64,
        /** a decimal */ fixed: Fixed<1>,
        /** a text */ text: &'a str,
        /** a closed set */ choice: Choice,
        /** may be null */ maybe: Option<u8>,
        /** an array */ some: [u16; 2],
    }
}

attache_core::args! {
    /// The same types, none of which need be there.
    pub struct Any<'a> {
        /** a truth value */ truth: Option<bool>,
        /** a string */ text: Option<Text<'a>>,
        /** 8 bits */ u8: Option<u8>,
        /** 8 bits */ i8: Option<i8>,
        /** 16 bits */ u16: Option<u16>,
        /** 16 bits */ i16: Option<i16>,
        /** 32 bits */ u32: Option<u32>,
        /** 32 bits */ i32: Option<i32>,
        /** 64 bits */ u64: Option<u64>,
        /** 64 bits */ i64: Option<i64>,
    }
}

attache_core::args! { pub struct Echo<'a> { /** what to say */ text: Text<'a> } }

attache_core::tools! { pub mod every for Application {
    /// Say it again
    #[read_only] #[idempotent] fn echo(Echo<'_>);
    /// Take one of each
    #[additive] #[closed_world] fn every(Every<'_>);
    /// Take what there is
    fn any(Any<'_>);
    /// Fail with a constant reason
    fn fail(Nothing);
    /// Fail with the reason that is given
    fn complain(Echo<'_>);
    /// A structured result
    fn measure(Echo<'_>) -> Outcome<'static>;
} }

/// The application that the tools belong to.
pub struct Application;

impl Application {
    fn echo(&self, said: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text_with(|block| block.echo(said.text))
    }

    fn every(&self, arguments: Every<'_>, out: &mut Output<'_>) -> ToolResult {
        black_box(&arguments);
        out.text(arguments.text.plain().unwrap_or("escaped"))?;
        out.text_with(|block| {
            block.push("the same: ")?;
            block.echo(arguments.text)
        })
    }

    fn any(&self, arguments: Any<'_>, out: &mut Output<'_>) -> ToolResult {
        black_box(&arguments);
        match arguments.text.and_then(|text| text.plain()) {
            Some(text) => out.text(text),
            None => Ok(()),
        }
    }

    fn measure(&self, said: Echo<'_>, _: &mut Output<'_>) -> Result<Outcome<'static>, ToolError> {
        let number = said.text.raw().len() as i64;
        let fixed = Fixed::nearest(f32::from_bits(number as u32)).or_fail("out of range")?;
        let text = black_box("a text");
        let (truth, choice, maybe, some) =
            (number > 7, Choice::TwoWords, u8::try_from(number).ok(), [number as u16; 2]);
        Ok(Outcome { truth, number, fixed, text, choice, maybe, some })
    }

    fn fail(&self, _: Nothing, _: &mut Output<'_>) -> ToolResult {
        Err(ToolError::Failed("it had to fail"))
    }

    fn complain(&self, reason: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text("not sent")?;
        out.fail(reason.text.plain().unwrap_or_default())
    }
}

attache_core::prompts! { pub(crate) mod scripts for Application {
    /// Says it in every kind of block
    fn blocks(Echo<'_>);
} }

attache_core::resources! { pub(crate) mod files for Application {
    /// Text
    "proof://text" as "text/plain" => fn text;
} templates {
    /// Bytes
    "proof://bytes/{name}" as "application/octet-stream" => fn bytes;
} }

impl Application {
    fn blocks(&self, said: Echo<'_>, out: &mut Messages<'_, '_>) -> ToolResult {
        let text = said.text.plain().unwrap_or_default();
        out.text(Role::User, text)?;
        out.message(Role::Assistant, |block| block.image("image/png", said.text.raw()))?;
        out.message(Role::User, |block| block.audio("audio/wav", said.text.raw()))?;
        out.message(Role::User, |block| block.link(text, text))?;
        out.message(Role::User, |block| block.resource_text(text, text, text))?;
        out.message(Role::User, |block| block.resource_blob(text, text, said.text.raw()))
    }

    fn text(&self, read: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        out.text_with("text/plain", |block| block.echo(read.uri()))
    }

    fn bytes(&self, read: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
        match read.variable("proof://bytes/{name}", "name") {
            Some(name) => out.blob("application/octet-stream", name.raw()),
            None => Err(ToolError::NotFound),
        }
    }

    fn complete(&self, completing: Completing<'_>, out: &mut Values<'_, '_>) -> ToolResult {
        out.value(completing.argument().plain().unwrap_or_default())?;
        out.value(completing.value().plain().ok_or(ToolError::Argument("value"))?)
    }
}

static OFFERS: Tables<'static> = Tables::of_tools(every::TOOLS)
    .with_prompts(scripts::PROMPTS)
    .with_resources(files::RESOURCES, files::TEMPLATES)
    .with_completions();

static SERVER: Server<'static> =
    Server::new("proofs", "1.0", &OFFERS).with_instructions("Nothing here is ever run.").with_page(2);

/// Returns the server. The compiler knows nothing of it: it may have any number of tools and any
/// texts.
pub(crate) fn server() -> &'static Server<'static> {
    black_box(&SERVER)
}

/// Returns a caller that has passed the gate.
pub(crate) fn caller() -> Authenticated<'static> {
    Authenticated::anonymous(&Access::Anonymous)
}

/// Runs any tool with the arguments of the call.
pub(crate) fn dispatch(call: attache_core::tool::Call<'_>, out: &mut Output<'_>) -> ToolResult {
    let app = black_box(&Application);
    match call.operation() {
        Operation::Tool(_) => every::dispatch(app, call, out),
        Operation::Prompt(_) => scripts::dispatch(app, call, out),
        Operation::Resource(_) | Operation::Template(_) => files::dispatch(app, call, out),
        Operation::Complete(..) => app.complete(call.completing(), &mut out.values()),
    }
}

/// Parses one of the revisions, or none.
pub(crate) fn version(foreign: &mut Foreign<'_>) -> Option<attache_core::era::Version> {
    attache_core::era::Version::parse(foreign.piece())
}
