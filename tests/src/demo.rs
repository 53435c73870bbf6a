//! The application that the tests call: `echo` and `add`, once for the engine alone and once for
//! the host.

use attache_core::json::{Decimal, Full, Text};
use attache_core::mcp::Server;
use attache_core::tool::{Output, Tables, ToolError, ToolResult};

attache_core::args! { pub struct Echo<'a> { /** what to say */ text: Text<'a> } }
attache_core::args! { pub struct Add { /** one summand */ a: i64, /** the other one */ b: i64 } }
attache_core::tools! { pub mod tools for Demo {
    /// Say it again
    #[read_only] fn echo(Echo<'_>);
    /// Add two numbers
    #[read_only] fn add(Add);
} }

pub(crate) struct Demo;

impl Demo {
    fn echo(&self, said: Echo<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text_with(|block| block.echo(said.text))
    }

    fn add(&self, numbers: Add, out: &mut Output<'_>) -> ToolResult {
        let sum = numbers.a.checked_add(numbers.b).ok_or(ToolError::Failed("the sum is beyond 64 bits"))?;
        let digits = Decimal::new(sum);
        out.text_with(|block| block.push(core::str::from_utf8(digits.as_bytes()).map_err(|_| Full)?))
    }
}

pub(crate) static SERVER: Server<'static> = Server::new("demo", "1.0", &const { Tables::of_tools(tools::TOOLS) });

/// The same application for the host.
pub(crate) fn host() -> attache_host::ServerBuilder {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Echo {
        text: String,
    }
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Add {
        a: i64,
        b: i64,
    }
    attache_host::Server::new("demo", "1.0")
        .tool("echo", "Say it again", |said: Echo, _| async move { said.text })
        .tool("add", "Add two numbers", |numbers: Add, _| async move {
            let sum = numbers.a.checked_add(numbers.b);
            Ok(sum.ok_or(attache_host::ToolError::user("the sum is beyond 64 bits"))?.to_string())
        })
}
