//! `resources!`: the tables of resources and templates, and the function that writes them.

/// Declares the resources of an application, and the templates of resources without a fixed URI.
/// The functions write to [`Contents`](crate::tool::Contents). The module `uri` has each URI and
/// template as a constant by the name of its function: for
/// [`Read::variable`](crate::tool::Read::variable), and for code that reports changes.
///
/// ```
/// use attache_core::tool::{Contents, Read, ToolError, ToolResult};
///
/// attache_core::resources! { pub mod files for Board {
///     /// The events since the start
///     "board://log" as "text/plain" => fn log;
/// } templates {
///     /// The state of one relay
///     "board://relay/{number}" as "text/plain" => fn relay;
/// } }
///
/// pub struct Board;
/// impl Board {
///     fn log(&self, _: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
///         out.text("text/plain", "12:00 on")
///     }
///     fn relay(&self, read: Read<'_>, out: &mut Contents<'_, '_>) -> ToolResult {
///         match read.variable(files::uri::relay, "number") {
///             Some(number) if number.is("1") => out.text("text/plain", "on"),
///             _ => Err(ToolError::NotFound),
///         }
///     }
/// }
/// fn main() {
///     assert_eq!(files::RESOURCES[0].key(), "board://log");
///     assert_eq!(files::TEMPLATES[0].key(), "board://relay/{number}");
/// }
/// ```
#[macro_export]
macro_rules! resources {
    ( $(#[$about:meta])* $vis:vis mod $module:ident $(<$($param:ident : $bound:path),+ $(,)?>)? for $app:ty {
        $( $(#[$($attr:tt)*])* $uri:literal as $mime:literal => fn $name:ident; )*
    } $( templates {
        $( $(#[$($tattr:tt)*])* $turi:literal as $tmime:literal => fn $tname:ident; )*
    } )? ) => {
        $crate::__resources! { [$(#[$about])*] [$vis] $module [$(<$($param : $bound),+>)?] [$app] []
            [ $( { [$(#[$($attr)*])*] $uri $mime $name [] } )* ]
            [ $( $( { [$(#[$($tattr)*])*] $turi $tmime $tname [] } )* )? ]
        }
    };
    ( $(#[$about:meta])* $vis:vis mod $module:ident $(<$($param:ident : $bound:path),+ $(,)?>)? for $app:ty {
        $( $(#[$($attr:tt)*])* $uri:literal as $mime:literal => $(async $($never:literal)?)? fn $name:ident; )*
    } $( templates {
        $( $(#[$($tattr:tt)*])* $turi:literal as $tmime:literal => $(async $($tnever:literal)?)? fn $tname:ident; )*
    } )? ) => {
        $crate::__resources! { [$(#[$about])*] [$vis] $module [$(<$($param : $bound),+>)?] [$app] [async]
            [ $( { [$(#[$($attr)*])*] $uri $mime $name [$(.await $($never)?)?] } )* ]
            [ $( $( { [$(#[$($tattr)*])*] $turi $tmime $tname [$(.await $($tnever)?)?] } )* )? ]
        }
    };
    ($($other:tt)*) => {
        $crate::__explain_table! { "resources" "\"board://log\" as \"text/plain\" => fn log;" $($other)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __resources {
    (
        [$(#[$about:meta])*] [$vis:vis] $module:ident [$($params:tt)*] [$app:ty] [$($kind:tt)?]
        [ $( { [$(#[$($attr:tt)*])*] $uri:literal $mime:literal $name:ident [$($wait:tt)*] } )* ]
        [ $( { [$(#[$($tattr:tt)*])*] $turi:literal $tmime:literal $tname:ident [$($twait:tt)*] } )* ]
    ) => {
        $(#[$about])*
        #[doc = concat!("The resources of `", stringify!($app), "`.")]
        $vis mod $module {
            #[allow(unused_imports)]
            use super::*;

            /// URIs and templates, by the names of their functions.
            #[allow(non_upper_case_globals, dead_code)]
            pub mod uri {
                $( #[doc = concat!("`", $uri, "`")] pub const $name: &str = $uri; )*
                $( #[doc = concat!("`", $turi, "`")] pub const $tname: &str = $turi; )*
            }

            /// The table of the resources, in the order of their declaration.
            pub const RESOURCES: &[$crate::tool::Entry<'static>] =
                &$crate::tool::entries::<{ $crate::tool::count(ALL) }>(ALL);
            const ALL: &[Option<$crate::tool::Entry<'static>>] =
                &[ $( $crate::__resource!("uri" [$(#[$($attr)*])*] $uri $mime $name) ),* ];

            /// The table of the templates, in the order of their declaration.
            pub const TEMPLATES: &[$crate::tool::Entry<'static>] =
                &$crate::tool::entries::<{ $crate::tool::count(ALL_TEMPLATES) }>(ALL_TEMPLATES);
            const ALL_TEMPLATES: &[Option<$crate::tool::Entry<'static>>] =
                &[ $( $crate::__resource!("uriTemplate" [$(#[$($tattr)*])*] $turi $tmime $tname) ),* ];

            #[allow(non_camel_case_types, dead_code)]
            #[derive(Clone, Copy)]
            enum Named { $( $name, )* $( $tname, )* }
            const NAMED: [Option<Named>; RESOURCES.len() + TEMPLATES.len()] = $crate::tool::present(&[
                $( $crate::__when!([] [$(#[$($attr)*])*] { Some(Named::$name) } { None }), )*
                $( $crate::__when!([] [$(#[$($tattr)*])*] { Some(Named::$tname) } { None }), )*
            ]);

            /// Whether this module runs the operation.
            #[allow(dead_code)]
            pub const fn handles(operation: $crate::tool::Operation) -> bool {
                matches!(operation, $crate::tool::Operation::Resource(_) | $crate::tool::Operation::Template(_))
            }

            /// Writes the resource that is read.
            ///
            /// # Errors
            /// The error of the resource.
            pub $($kind)? fn dispatch $($params)* (
                app: &$app,
                call: $crate::tool::Call<'_>,
                out: &mut $crate::tool::Output<'_>,
            ) -> $crate::tool::ToolResult {
                const NONE: $crate::tool::ToolResult = Err($crate::tool::ToolError::NotFound);
                let index = match call.operation() {
                    $crate::tool::Operation::Resource(index) => index,
                    $crate::tool::Operation::Template(index) => RESOURCES.len() + index,
                    _ => return NONE,
                };
                match NAMED.get(index) {
                    $( Some(Some(Named::$name)) => $crate::__when!([] [$(#[$($attr)*])*] {
                        app.$name(call.read(), &mut out.contents()) $($wait)*
                    } { NONE }), )*
                    $( Some(Some(Named::$tname)) => $crate::__when!([] [$(#[$($tattr)*])*] {
                        app.$tname(call.read(), &mut out.contents()) $($twait)*
                    } { NONE }), )*
                    _ => NONE,
                }
            }
        }
    };
}

/// The entry of a resource or a template.
#[doc(hidden)]
#[macro_export]
macro_rules! __resource {
    ($key:literal [$(#[$($attr:tt)*])*] $uri:literal $mime:literal $name:ident) => {
        $crate::__when!([] [$(#[$($attr)*])*] { Some({
            const SAID: $crate::tool::Said = {
                let said = $crate::tool::Said::of($crate::tool::plain_name(stringify!($name)));
                $( let said = $crate::__say!(said "resource" $($attr)*); )*
                said
            };
            const {
                assert!(SAID.is_described(), concat!("resource `", stringify!($name), "` needs a doc comment"));
            };
            const DOC: [&str; SAID.lines()] = SAID.description();
            const NEEDS: [$crate::auth::Need<'static>; SAID.needs()] = SAID.needed();
            const PARTS: &[$crate::json::Part<'static>] =
                &$crate::tool::resource_parts($key, $uri, SAID.name, &DOC, $mime);
            const LATER: &[$crate::json::Part<'static>] = &$crate::tool::later_parts(SAID.title, "");
            $crate::tool::Entry::new($uri, $crate::__members!(PARTS, LATER, &[])).with_needs(&NEEDS)
        }) } { None })
    };
}
