//! The server of the proofs: one with tools of every type of argument.

use crate::foreign::Foreign;
use attache_core::auth::{Access, Authenticated};
use attache_core::json::{Escaped, Text};
use attache_core::mcp::Server;
use attache_core::tool::{Nothing, Output, ToolError, ToolResult};
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
} }

/// What the tools belong to.
pub struct Application;

impl Application {
    fn echo(&self, said: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text_with(|block| block.echo(said.text))
    }

    fn every(&self, arguments: Every<'_>, out: &mut Output<'_>) -> ToolResult {
        black_box(arguments);
        out.text(arguments.text.plain().unwrap_or("escaped"))?;
        out.text_with(|block| {
            block.push("the same: ")?;
            block.echo(arguments.text)
        })
    }

    fn any(&self, arguments: Any<'_>, out: &mut Output<'_>) -> ToolResult {
        black_box(arguments);
        match arguments.text.and_then(|text| text.plain()) {
            Some(text) => out.text(text),
            None => Ok(()),
        }
    }

    fn fail(&self, _: Nothing, _: &mut Output<'_>) -> ToolResult {
        Err(ToolError::Failed("it had to fail"))
    }

    fn complain(&self, reason: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text("not sent")?;
        out.fail(reason.text.plain().unwrap_or_default())
    }
}

const fn plain(text: &'static str) -> Escaped<'static> {
    Escaped::new(text).expect("no quotes in it")
}

static SERVER: Server<'static> =
    Server::new(plain("proofs"), plain("1.0"), &every::TOOLS).with_instructions(plain("Nothing here is ever run."));

/// The server, of which the compiler knows nothing: any number of tools, any texts.
pub(crate) fn server() -> &'static Server<'static> {
    black_box(&SERVER)
}

/// A caller who was let in.
pub(crate) fn caller() -> Authenticated<'static> {
    Authenticated::anonymous(&Access::Anonymous)
}

/// A sink's worth of a handler's choices: any tool runs with the arguments that came.
pub(crate) fn dispatch(call: attache_core::tool::Call<'_>, out: &mut Output<'_>) -> ToolResult {
    every::dispatch(black_box(&Application), call, out)
}

/// One of the revisions, or none.
pub(crate) fn version(foreign: &mut Foreign<'_>) -> Option<attache_core::era::Version> {
    attache_core::era::Version::parse(foreign.piece())
}
