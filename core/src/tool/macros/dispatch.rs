//! `dispatch!`: one call for tools, prompts and resources.

/// Runs the operation of a call: `dispatch!(app, call, out, [tools, prompts, resources])`, with the
/// modules of [`tools!`](crate::tools), [`prompts!`](crate::prompts) and
/// [`resources!`](crate::resources), in any order. Write `async [ … ]` if they are asynchronous.
/// After them, `complete = …` names the function that completes arguments.
///
/// ```
/// use attache_core::prelude::*;
///
/// tools! { pub mod tools for Board {
///     /// Degrees Celsius
///     fn temperature(Nothing);
/// } }
/// resources! { pub mod files for Board {
///     /// The events since the start
///     "board://log" as "text/plain" => fn log;
/// } }
///
/// pub struct Board;
/// impl Board {
///     pub fn answer(&self, call: Call<'_>, out: &mut Answer<'_>) -> ToolResult {
///         dispatch!(self, call, out, [tools, files], complete = Self::complete)
///     }
///     fn temperature(&self, _: Nothing, out: &mut Answer<'_>) -> ToolResult {
///         out.text("21.5")
///     }
///     fn log(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
///         out.text("text/plain", "12:00 on")
///     }
///     fn complete(_: Completing<'_>, out: &mut Values<'_, '_>) -> ToolResult {
///         out.value("led")
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! dispatch {
    ($app:expr, $call:expr, $out:expr, [$($($module:ident)::+),+ $(,)?] $(, complete = $complete:expr)? $(,)?) => {{
        let (call, out) = ($call, $out);
        $( if $($module)::+::handles(call.operation()) { $($module)::+::dispatch($app, call, out) } else )+ {
            $crate::__complete!(call, out $(, $complete)?)
        }
    }};
    ($app:expr, $call:expr, $out:expr, async [$($($module:ident)::+),+ $(,)?] $(, complete = $complete:expr)? $(,)?) => {{
        let (call, out) = ($call, $out);
        $( if $($module)::+::handles(call.operation()) { $($module)::+::dispatch($app, call, out).await } else )+ {
            $crate::__complete!(call, out $(, $complete)?)
        }
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __complete {
    ($call:ident, $out:ident) => {
        ::core::result::Result::Err($crate::tool::ToolError::NotFound)
    };
    ($call:ident, $out:ident, $complete:expr) => {
        match $call.operation() {
            $crate::tool::Operation::Complete(..) => $complete($call.completing(), &mut $out.values()),
            _ => ::core::result::Result::Err($crate::tool::ToolError::NotFound),
        }
    };
}
