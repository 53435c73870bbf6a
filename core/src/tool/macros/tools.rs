//! `tools!`: the table of the tools, and the function that runs them.

/// Declares the tools of an application: a module with their table, and the function `dispatch` that runs the tool that is called.
///
/// The doc comment is the description; it may have any number of lines. Attributes: `name = "…"` and `title = "…"`; the hints `read_only`,
/// `idempotent`, `additive` (never destructive) and `closed_world`; `scope("…")` and `role("…")`, each of which may be there more than once:
/// what the token of a caller must have ([`Need`](crate::auth::Need)); and `cfg(…)`. The functions are methods of the application type; one that
/// is missing or takes other arguments does not compile. If one of them is `async`, so is `dispatch`.
///
/// A tool with a result type (`fn read(Nothing) -> Reading;`, see [`results!`](crate::results)) declares its `outputSchema`, and its method
/// returns `Result<Reading, ToolError>`.
///
/// A tool that needs the caller, or other members of the request, is declared with a
/// [`Call`](crate::tool::Call): `fn open(Valve, Call);` is the method `fn open(&self, valve: Valve,
/// call: Call<'_>, out: &mut Output<'_>)`.
///
/// The application may be any type: `mod tools for app::Board`, `mod tools for Board<'_>`, or `mod tools<P: OutputPin> for Board<P>`.
///
/// ```
/// use attache_core::tool::{Nothing, Output, ToolResult};
///
/// attache_core::args! { pub struct SetLed { /** on or off */ on: bool } }
/// attache_core::tools! { pub mod board for Board {
///     /// Switch the LED
///     #[title = "LED"] #[idempotent] fn set_led(SetLed);
///     /// Core temperature in degrees Celsius.
///     /// It is measured when the tool is called.
///     #[read_only] fn temperature(Nothing);
/// } }
///
/// pub struct Board;
/// impl Board {
///     fn set_led(&self, arguments: SetLed, out: &mut Output<'_>) -> ToolResult {
///         out.text(if arguments.on { "on" } else { "off" })
///     }
///     fn temperature(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
///         out.text("21.5")
///     }
/// }
/// fn main() {
///     assert_eq!(board::TOOLS[0].key(), "set_led");
///     assert!(board::TOOLS[0].members()[0].json.starts_with(r#""name":"set_led","description":"Switch"#));
/// }
/// ```
#[macro_export]
macro_rules! tools {
    ( $(#[$about:meta])* $vis:vis mod $module:ident $(<$($param:ident : $bound:path),+ $(,)?>)? for $app:ty {
        $( $(#[$($attr:tt)*])* fn $tool:ident ( $args:ty $(, $with:ident)? ) $(-> $result:ty)? ; )+
    } ) => {
        $crate::__tools! {
            [$(#[$about])*] [$vis] $module [$(<$($param : $bound),+>)?] [$app] []
            $( { [$(#[$($attr)*])*] $tool [$args $(, $with)?] [$($result)?] [] } )+
        }
    };
    ( $(#[$about:meta])* $vis:vis mod $module:ident $(<$($param:ident : $bound:path),+ $(,)?>)? for $app:ty {
        $( $(#[$($attr:tt)*])* $(async $($never:literal)?)? fn $tool:ident ( $args:ty $(, $with:ident)? ) $(-> $result:ty)? ; )+
    } ) => {
        $crate::__tools! {
            [$(#[$about])*] [$vis] $module [$(<$($param : $bound),+>)?] [$app] [async]
            $( { [$(#[$($attr)*])*] $tool [$args $(, $with)?] [$($result)?] [$(.await $($never)?)?] } )+
        }
    };
    ($($other:tt)*) => {
        $crate::__explain_table! { "tools" "fn set_led(SetLed);" $($other)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tools {
    (
        [$(#[$about:meta])*] [$vis:vis] $module:ident [$($params:tt)*] [$app:ty] [$($kind:tt)?]
        $( { [$(#[$($attr:tt)*])*] $tool:ident [$args:ty $(, $with:ident)?] [$($result:ty)?] [$($wait:tt)*] } )+
    ) => {
        $(#[$about])*
        #[doc = concat!("The tools of `", stringify!($app), "`.")]
        $vis mod $module {
            #[allow(unused_imports)]
            use super::*;

            /// The table of the tools, in the order of their declaration.
            pub const TOOLS: &[$crate::tool::Entry<'static>] = &$crate::tool::entries::<COUNT>(ALL);

            const COUNT: usize = $crate::tool::count(ALL);
            const ALL: &[Option<$crate::tool::Entry<'static>>] = &[ $( $crate::__when!([] [$(#[$($attr)*])*] { Some({
                const SAID: $crate::tool::Said = {
                    let said = $crate::tool::Said::of($crate::tool::plain_name(stringify!($tool)));
                    $( let said = $crate::__say!(said "tool" $($attr)*); )*
                    said
                };
                const {
                    assert!(SAID.is_described(), concat!(
                        "tool `", stringify!($tool), "` needs a doc comment: it is the description that the model reads"
                    ));
                    assert!($crate::tool::is_tool_name(SAID.name), concat!(
                        "the name of tool `", stringify!($tool), "` may have 1 to 128 characters of A-Z a-z 0-9 _ - ."
                    ));
                };
                const DOC: [&str; SAID.lines()] = SAID.description();
                const NEEDS: [$crate::auth::Need<'static>; SAID.needs()] = SAID.needed();
                const PARTS: &[$crate::json::Part<'static>] =
                    &$crate::tool::tool_parts(SAID.name, &DOC, <$args as $crate::tool::Args<'_>>::SCHEMA);
                const LATER: &[$crate::json::Part<'static>] =
                    &$crate::tool::later_parts(SAID.title, $crate::__output_schema!($($result)?));
                const HINTS: &[$crate::json::Part<'static>] = &$crate::tool::hint_parts(SAID.hints);
                $crate::tool::Entry::new(SAID.name, $crate::__members!(PARTS, LATER, HINTS)).with_needs(&NEEDS)
            }) } { None }) ),+ ];

            #[allow(non_camel_case_types, dead_code)]
            #[derive(Clone, Copy)]
            enum Named { $( $tool ),+ }
            const NAMED: [Option<Named>; COUNT] = $crate::tool::present(
                &[ $( $crate::__when!([] [$(#[$($attr)*])*] { Some(Named::$tool) } { None }) ),+ ],
            );

            /// Whether this module runs the operation.
            #[allow(dead_code)]
            pub const fn handles(operation: $crate::tool::Operation) -> bool {
                matches!(operation, $crate::tool::Operation::Tool(_))
            }

            /// Runs the tool that is called.
            ///
            /// # Errors
            /// The error of the tool.
            pub $($kind)? fn dispatch $($params)* (
                app: &$app,
                call: $crate::tool::Call<'_>,
                out: &mut $crate::tool::Output<'_>,
            ) -> $crate::tool::ToolResult {
                const NONE: $crate::tool::ToolResult = Err($crate::tool::ToolError::Failed("no such tool"));
                let $crate::tool::Operation::Tool(index) = call.operation() else {
                    return NONE;
                };
                let error = match NAMED.get(index) {
                    $( Some(Some(Named::$tool)) => $crate::__when!([] [$(#[$($attr)*])*] {
                        match call.arguments().read::<$args>() {
                            Ok(arguments) => {
                                return $crate::__outcome!(app.$tool(arguments $(, $crate::__call!($with call))?, out) $($wait)*, out $(, $result)?);
                            }
                            Err(error) => error,
                        }
                    } { return NONE; }), )+
                    _ => return NONE,
                };
                out.refuse(error)
            }
        }
    };
}
