//! `prompts!`: the table of the prompts, and the function that writes them.

/// Declares the prompts of an application, as [`tools!`](crate::tools) declares tools. Arguments
/// are texts, optional or not; the functions write to [`Messages`](crate::tool::Messages).
///
/// ```
/// use attache_core::json::Text;
/// use attache_core::tool::{Messages, Role, ToolResult};
///
/// attache_core::args! { pub struct Diagnose<'a> { /** number of the relay */ relay: Text<'a> } }
/// attache_core::prompts! { pub mod scripts for Board {
///     /// Find out why a relay does not switch
///     fn diagnose(Diagnose<'_>);
/// } }
///
/// pub struct Board;
/// impl Board {
///     fn diagnose(&self, about: Diagnose<'_>, out: &mut Messages<'_, '_>) -> ToolResult {
///         out.message(Role::User, |block| block.text_with(|text| {
///             text.push("Check relay ")?;
///             text.echo(about.relay)
///         }))
///     }
/// }
/// fn main() {
///     let listed = scripts::PROMPTS[0].members()[0].json;
///     assert!(listed.ends_with(r#""arguments":[{"name":"relay","description":"number of the relay","required":true}]"#));
/// }
/// ```
#[macro_export]
macro_rules! prompts {
    ( $(#[$about:meta])* $vis:vis mod $module:ident $(<$($param:ident : $bound:path),+ $(,)?>)? for $app:ty {
        $( $(#[$($attr:tt)*])* fn $prompt:ident ( $args:ty ); )+
    } ) => {
        $crate::__prompts! {
            [$(#[$about])*] [$vis] $module [$(<$($param : $bound),+>)?] [$app] []
            $( { [$(#[$($attr)*])*] $prompt [$args] [] } )+
        }
    };
    ( $(#[$about:meta])* $vis:vis mod $module:ident $(<$($param:ident : $bound:path),+ $(,)?>)? for $app:ty {
        $( $(#[$($attr:tt)*])* $(async $($never:literal)?)? fn $prompt:ident ( $args:ty ); )+
    } ) => {
        $crate::__prompts! {
            [$(#[$about])*] [$vis] $module [$(<$($param : $bound),+>)?] [$app] [async]
            $( { [$(#[$($attr)*])*] $prompt [$args] [$(.await $($never)?)?] } )+
        }
    };
    ($($other:tt)*) => {
        $crate::__explain_table! { "prompts" "fn diagnose(Diagnose<'_>);" $($other)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __prompts {
    (
        [$(#[$about:meta])*] [$vis:vis] $module:ident [$($params:tt)*] [$app:ty] [$($kind:tt)?]
        $( { [$(#[$($attr:tt)*])*] $prompt:ident [$args:ty] [$($wait:tt)*] } )+
    ) => {
        $(#[$about])*
        #[doc = concat!("The prompts of `", stringify!($app), "`.")]
        $vis mod $module {
            #[allow(unused_imports)]
            use super::*;

            /// The table of the prompts, in the order of their declaration.
            pub const PROMPTS: &[$crate::tool::Entry<'static>] = &$crate::tool::entries::<COUNT>(ALL);

            const COUNT: usize = $crate::tool::count(ALL);
            const ALL: &[Option<$crate::tool::Entry<'static>>] = &[ $( $crate::__when!([] [$(#[$($attr)*])*] { Some({
                const SAID: $crate::tool::Said = {
                    let said = $crate::tool::Said::of($crate::tool::plain_name(stringify!($prompt)));
                    $( let said = $crate::__say!(said "prompt" $($attr)*); )*
                    said
                };
                const {
                    assert!(SAID.is_described(), concat!("prompt `", stringify!($prompt), "` needs a doc comment"));
                };
                const DOC: [&str; SAID.lines()] = SAID.description();
                const NEEDS: [$crate::auth::Need<'static>; SAID.needs()] = SAID.needed();
                const PARTS: &[$crate::json::Part<'static>] =
                    &$crate::tool::prompt_parts(SAID.name, &DOC, <$args as $crate::tool::Args<'_>>::PROMPT);
                const LATER: &[$crate::json::Part<'static>] = &$crate::tool::later_parts(SAID.title, "");
                $crate::tool::Entry::new(SAID.name, $crate::__members!(PARTS, LATER, &[]))
                    .with_needs(&NEEDS)
                    .with_arguments(<$args as $crate::tool::Args<'_>>::FIELDS)
            }) } { None }) ),+ ];

            #[allow(non_camel_case_types, dead_code)]
            #[derive(Clone, Copy)]
            enum Named { $( $prompt ),+ }
            const NAMED: [Option<Named>; COUNT] = $crate::tool::present(
                &[ $( $crate::__when!([] [$(#[$($attr)*])*] { Some(Named::$prompt) } { None }) ),+ ],
            );

            /// Whether this module runs the operation.
            #[allow(dead_code)]
            pub const fn handles(operation: $crate::tool::Operation) -> bool {
                matches!(operation, $crate::tool::Operation::Prompt(_))
            }

            /// Writes the prompt that is requested.
            ///
            /// # Errors
            /// The error of the prompt, or the argument that does not fit.
            pub $($kind)? fn dispatch $($params)* (
                app: &$app,
                call: $crate::tool::Call<'_>,
                out: &mut $crate::tool::Output<'_>,
            ) -> $crate::tool::ToolResult {
                const NONE: $crate::tool::ToolResult = Err($crate::tool::ToolError::Failed("no such prompt"));
                let $crate::tool::Operation::Prompt(index) = call.operation() else {
                    return NONE;
                };
                let error = match NAMED.get(index) {
                    $( Some(Some(Named::$prompt)) => $crate::__when!([] [$(#[$($attr)*])*] {
                        match call.arguments().read::<$args>() {
                            Ok(arguments) => return app.$prompt(arguments, &mut out.messages()) $($wait)*,
                            Err(error) => error,
                        }
                    } { return NONE; }), )+
                    _ => return NONE,
                };
                Err($crate::tool::ToolError::Argument(error.name().unwrap_or("unknown")))
            }
        }
    };
}
