//! The declarations: what a tool is called, says, takes and hints at is written once, and everything else follows.

/// Declares a type of arguments: a struct, its JSON Schema, and its reader.
///
/// Doc comments become descriptions. An `Option` may be left out or `null`. A lifetime is given where a field borrows
/// from the request, as [`Text`](crate::json::Text) does.
///
/// ```
/// attache_core::args! {
///     /// Arguments of `set_led`.
///     pub struct SetLed {
///         /** on or off */ on: bool,
///         /** brightness */ level: Option<u8>,
///     }
/// }
/// use attache_core::tool::Args;
/// assert_eq!(
///     SetLed::SCHEMA,
///     concat!(
///         r#"{"type":"object","properties":{"on":{"description":"on or off","type":"boolean"},"#,
///         r#""level":{"description":"brightness","type":["integer","null"],"minimum":0,"maximum":255}},"#,
///         r#""required":["on"],"additionalProperties":false}"#,
///     )
/// );
/// ```
#[macro_export]
macro_rules! args {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? {
            $( $(#[doc = $doc:literal])* $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name $(<$life>)? {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        $crate::__args! { $name ($($life)?) { $( [$($doc),*] $field : $type, )* } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __args {
    ($name:ident () { $($fields:tt)* }) => {
        $crate::__args! { @ $name, $name, '__a { $($fields)* } }
    };
    ($name:ident ($life:lifetime) { $($fields:tt)* }) => {
        $crate::__args! { @ $name<$life>, $name<'static>, $life { $($fields)* } }
    };
    (@ $whole:ty, $static:ty, $life:lifetime { $( [$($doc:literal),*] $field:ident : $type:ty, )* }) => {
        impl<$life> $crate::tool::Args<$life> for $whole {
            const FIELDS: &'static [$crate::tool::Field] = &[ $( $crate::tool::Field {
                name: stringify!($field),
                doc: &[$($doc),*],
                expected: <$type as $crate::tool::Argument>::EXPECTED,
                optional: <$type as $crate::tool::Argument>::OPTIONAL,
            } ),* ];

            // The length of an array cannot depend on the lifetime of the impl, so it is asked of the static twin.
            const SCHEMA: &'static str = {
                const FIELDS: &[$crate::tool::Field] = <$static as $crate::tool::Args<'static>>::FIELDS;
                const TEXT: [u8; $crate::tool::schema_len(FIELDS)] = $crate::tool::schema(FIELDS);
                $crate::tool::constant(&TEXT)
            };

            const PROMPT: &'static str = {
                const FIELDS: &[$crate::tool::Field] = <$static as $crate::tool::Args<'static>>::FIELDS;
                const TEXT: [u8; $crate::tool::prompt_len(FIELDS)] = $crate::tool::prompt(FIELDS);
                $crate::tool::constant(&TEXT)
            };

            fn read(
                arguments: $crate::tool::Arguments<$life>,
            ) -> ::core::result::Result<Self, $crate::tool::ArgumentError<$life>> {
                $( let mut $field = ::core::option::Option::None; )*
                arguments.each(|name, value| {
                    $( if name.is(stringify!($field)) {
                        return $crate::tool::ArgumentError::keep(&mut $field, stringify!($field), value);
                    } )*
                    let _ = value;
                    ::core::result::Result::Ok(false)
                })?;
                ::core::result::Result::Ok(Self {
                    $( $field: $crate::tool::ArgumentError::require($field, stringify!($field))?, )*
                })
            }
        }
    };
}

/// Declares the tools of an application: a module with their table, and the function that runs the one that is called.
///
/// The doc comment is the description. Attributes: `title = "…"`, and the hints `read_only`, `idempotent`, `additive` (never
/// destructive), `closed_world`; and `scope("…")` and `role("…")`, each of which may be there more than once: what the token of a
/// caller must have ([`Need`](crate::auth::Need)). The functions are methods of the application type; one that is missing or takes other
/// arguments does not compile. They are all `fn`, or all `async fn`.
///
/// ```
/// use attache_core::tool::{Nothing, Output, ToolResult};
///
/// attache_core::args! { pub struct SetLed { /** on or off */ on: bool } }
/// attache_core::tools! { pub mod board for Board {
///     /// Switch the LED
///     #[title = "LED"] #[idempotent] fn set_led(SetLed);
///     /// Core temperature in degrees Celsius
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
    ( $vis:vis mod $module:ident for $app:ident {
        $( $(#[doc = $doc:literal])+ $(#[$hint:ident $(= $value:literal)? $(($need:literal))?])* fn $tool:ident ( $args:ty ); )+
    } ) => {
        $crate::__tools! {
            $vis mod $module for $app [] $( { [$($doc),+] [$($hint $(= $value)? $(($need))?)*] $tool $args, } )+
        }
    };
    ( $vis:vis mod $module:ident for $app:ident {
        $( $(#[doc = $doc:literal])+ $(#[$hint:ident $(= $value:literal)? $(($need:literal))?])* async fn $tool:ident ( $args:ty ); )+
    } ) => {
        $crate::__tools! {
            $vis mod $module for $app [async] $( { [$($doc),+] [$($hint $(= $value)? $(($need))?)*] $tool $args, .await } )+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tools {
    (
        $vis:vis mod $module:ident for $app:ident [$($kind:tt)?]
        $( { [$($doc:literal),+] [$($hint:ident $(= $value:literal)? $(($need:literal))?)*] $tool:ident $args:ty, $($wait:tt)* } )+
    ) => {
        #[doc = concat!("The tools of [`", stringify!($app), "`].")]
        $vis mod $module {
            #[allow(unused_imports)]
            use super::*;

            /// The table of the tools, in the order of their declaration.
            pub const TOOLS: &[$crate::tool::Entry<'static>] = &[ $( $crate::tool::Entry::new(stringify!($tool), {
                const { assert!($crate::tool::is_tool_name(stringify!($tool))) };
                #[allow(unused_mut)]
                const SAID: ($crate::tool::Hints, &str) = {
                    let mut hints = $crate::tool::Hints::NONE;
                    let mut title = "";
                    $( $crate::__hint!(hints title $hint $(= $value)? $(($need))?); )*
                    (hints, title)
                };
                const PARTS: &[$crate::json::Part<'static>] = &$crate::tool::tool_parts(
                    stringify!($tool), &[$($doc),+], <$args as $crate::tool::Args<'_>>::SCHEMA,
                );
                const TITLE: &[$crate::json::Part<'static>] = &$crate::tool::title_parts(SAID.1);
                const HINTS: &[$crate::json::Part<'static>] = &$crate::tool::hint_parts(SAID.0);
                $crate::__members!(PARTS, TITLE, HINTS)
            }).with_needs(&[ $( $( $crate::__need!($hint $need), )? )* ]) ),+ ];

            /// Runs the tool that is called.
            ///
            /// # Errors
            /// What the tool answers.
            pub $($kind)? fn dispatch(
                app: &$app,
                call: $crate::tool::Call<'_>,
                out: &mut $crate::tool::Output<'_>,
            ) -> $crate::tool::ToolResult {
                #[allow(non_camel_case_types)]
                enum Named { $( $tool ),+ }
                const NAMED: &[Named] = &[ $( Named::$tool ),+ ];
                let $crate::tool::Operation::Tool(index) = call.operation() else {
                    return Err($crate::tool::ToolError::Failed("no tool is called"));
                };
                match NAMED.get(index) {
                    $( Some(Named::$tool) => match call.arguments().read::<$args>() {
                        Ok(arguments) => app.$tool(arguments, out) $($wait)*,
                        Err(error) => out.refuse(error),
                    }, )+
                    None => Err($crate::tool::ToolError::Failed("no such tool")),
                }
            }
        }
    };
}

/// Declares the prompts of an application, as [`tools!`](crate::tools) does tools. Arguments are texts, optional or not; the
/// functions write to [`Messages`](crate::tool::Messages).
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
    ( $vis:vis mod $module:ident for $app:ident {
        $( $(#[doc = $doc:literal])+ $(#[title = $title:literal])? fn $prompt:ident ( $args:ty ); )+
    } ) => {
        $crate::__prompts! { $vis mod $module for $app [] $( { [$($doc),+] [$($title)?] $prompt $args, } )+ }
    };
    ( $vis:vis mod $module:ident for $app:ident {
        $( $(#[doc = $doc:literal])+ $(#[title = $title:literal])? async fn $prompt:ident ( $args:ty ); )+
    } ) => {
        $crate::__prompts! { $vis mod $module for $app [async] $( { [$($doc),+] [$($title)?] $prompt $args, .await } )+ }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __prompts {
    (
        $vis:vis mod $module:ident for $app:ident [$($kind:tt)?]
        $( { [$($doc:literal),+] [$($title:literal)?] $prompt:ident $args:ty, $($wait:tt)* } )+
    ) => {
        #[doc = concat!("The prompts of [`", stringify!($app), "`].")]
        $vis mod $module {
            #[allow(unused_imports)]
            use super::*;

            /// The table of the prompts, in the order of their declaration.
            pub const PROMPTS: &[$crate::tool::Entry<'static>] = &[ $( $crate::tool::Entry::new(stringify!($prompt), {
                const PARTS: &[$crate::json::Part<'static>] = &$crate::tool::prompt_parts(
                    stringify!($prompt), &[$($doc),+], <$args as $crate::tool::Args<'_>>::PROMPT,
                );
                const TITLE: &[$crate::json::Part<'static>] = &$crate::tool::title_parts(concat!($($title)?));
                $crate::__members!(PARTS, TITLE, &[])
            }).with_arguments(<$args as $crate::tool::Args<'_>>::FIELDS) ),+ ];

            /// Writes the prompt that is got.
            ///
            /// # Errors
            /// What the prompt answers, or the argument that does not fit.
            pub $($kind)? fn dispatch(
                app: &$app,
                call: $crate::tool::Call<'_>,
                out: &mut $crate::tool::Output<'_>,
            ) -> $crate::tool::ToolResult {
                #[allow(non_camel_case_types)]
                enum Named { $( $prompt ),+ }
                const NAMED: &[Named] = &[ $( Named::$prompt ),+ ];
                let $crate::tool::Operation::Prompt(index) = call.operation() else {
                    return Err($crate::tool::ToolError::Failed("no prompt is got"));
                };
                match NAMED.get(index) {
                    $( Some(Named::$prompt) => match call.arguments().read::<$args>() {
                        Ok(arguments) => app.$prompt(arguments, &mut out.messages()) $($wait)*,
                        Err(error) => Err($crate::tool::ToolError::Argument(error.name().unwrap_or("unknown"))),
                    }, )+
                    None => Err($crate::tool::ToolError::Failed("no such prompt")),
                }
            }
        }
    };
}

/// Declares the resources of an application, and the templates of resources without a fixed URI. The functions write to
/// [`Contents`](crate::tool::Contents).
///
/// ```
/// use attache_core::tool::{Contents, Read, ToolError, ToolResult};
///
/// attache_core::resources! { pub mod files for Board {
///     /// What happened since the start
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
///         match read.variable("board://relay/{number}", "number") {
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
    ( $vis:vis mod $module:ident for $app:ident {
        $( $(#[doc = $doc:literal])+ $uri:literal as $mime:literal => fn $name:ident; )*
    } $( templates {
        $( $(#[doc = $tdoc:literal])+ $turi:literal as $tmime:literal => fn $tname:ident; )*
    } )? ) => {
        $crate::__resources! { $vis mod $module for $app []
            [ $( { [$($doc),+] $uri $mime $name, } )* ] [ $( $( { [$($tdoc),+] $turi $tmime $tname, } )* )? ]
        }
    };
    ( $vis:vis mod $module:ident for $app:ident {
        $( $(#[doc = $doc:literal])+ $uri:literal as $mime:literal => async fn $name:ident; )*
    } $( templates {
        $( $(#[doc = $tdoc:literal])+ $turi:literal as $tmime:literal => async fn $tname:ident; )*
    } )? ) => {
        $crate::__resources! { $vis mod $module for $app [async]
            [ $( { [$($doc),+] $uri $mime $name, .await } )* ] [ $( $( { [$($tdoc),+] $turi $tmime $tname, .await } )* )? ]
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __resources {
    (
        $vis:vis mod $module:ident for $app:ident [$($kind:tt)?]
        [ $( { [$($doc:literal),+] $uri:literal $mime:literal $name:ident, $($wait:tt)* } )* ]
        [ $( { [$($tdoc:literal),+] $turi:literal $tmime:literal $tname:ident, $($twait:tt)* } )* ]
    ) => {
        #[doc = concat!("The resources of [`", stringify!($app), "`].")]
        $vis mod $module {
            #[allow(unused_imports)]
            use super::*;

            /// The table of the resources, in the order of their declaration.
            pub const RESOURCES: &[$crate::tool::Entry<'static>] = &[ $( $crate::tool::Entry::new($uri, {
                const PARTS: &[$crate::json::Part<'static>] =
                    &$crate::tool::resource_parts("uri", $uri, stringify!($name), &[$($doc),+], $mime);
                $crate::__members!(PARTS)
            }) ),* ];

            /// The table of the templates, in the order of their declaration.
            pub const TEMPLATES: &[$crate::tool::Entry<'static>] = &[ $( $crate::tool::Entry::new($turi, {
                const PARTS: &[$crate::json::Part<'static>] =
                    &$crate::tool::resource_parts("uriTemplate", $turi, stringify!($tname), &[$($tdoc),+], $tmime);
                $crate::__members!(PARTS)
            }) ),* ];

            /// Writes the resource that is read.
            ///
            /// # Errors
            /// What the resource answers.
            pub $($kind)? fn dispatch(
                app: &$app,
                call: $crate::tool::Call<'_>,
                out: &mut $crate::tool::Output<'_>,
            ) -> $crate::tool::ToolResult {
                #[allow(non_camel_case_types)]
                enum Named { $( $name, )* $( $tname, )* }
                const NAMED: &[Named] = &[ $( Named::$name, )* $( Named::$tname, )* ];
                let index = match call.operation() {
                    $crate::tool::Operation::Resource(index) => index,
                    $crate::tool::Operation::Template(index) => RESOURCES.len() + index,
                    _ => return Err($crate::tool::ToolError::Failed("no resource is read")),
                };
                match NAMED.get(index) {
                    $( Some(Named::$name) => app.$name(call.read(), &mut out.contents()) $($wait)*, )*
                    $( Some(Named::$tname) => app.$tname(call.read(), &mut out.contents()) $($twait)*, )*
                    None => Err($crate::tool::ToolError::NotFound),
                }
            }
        }
    };
}

/// The members of an entry, out of parts that are constants: those of every revision, the title, the hints.
#[doc(hidden)]
#[macro_export]
macro_rules! __members {
    ($parts:expr) => {{
        const TEXT: [u8; $crate::json::joined_len($parts)] = $crate::json::join($parts);
        const MEMBERS: &[$crate::tool::Member<'static>] =
            &[$crate::tool::Member::always($crate::tool::constant(&TEXT))];
        MEMBERS
    }};
    ($parts:expr, $title:expr, $hints:expr) => {{
        use $crate::era::Version;
        use $crate::tool::Member;
        const TITLE_TEXT: [u8; $crate::json::joined_len($title)] = $crate::json::join($title);
        const HINTS_TEXT: [u8; $crate::json::joined_len($hints)] = $crate::json::join($hints);
        const ALWAYS: Member<'static> = $crate::__members!($parts)[0];
        const TITLED: Member<'static> = Member::since(Version::V2025_06_18, $crate::tool::constant(&TITLE_TEXT));
        const HINTED: Member<'static> = Member::since(Version::V2025_03_26, $crate::tool::constant(&HINTS_TEXT));
        // A group with nothing in it would leave its comma.
        const MEMBERS: &[Member<'static>] = match (TITLED.json.is_empty(), HINTED.json.is_empty()) {
            (true, true) => &[ALWAYS],
            (false, true) => &[ALWAYS, TITLED],
            (true, false) => &[ALWAYS, HINTED],
            (false, false) => &[ALWAYS, TITLED, HINTED],
        };
        MEMBERS
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __hint {
    ($hints:ident $title:ident read_only) => {
        $hints.read_only = Some(true);
    };
    ($hints:ident $title:ident idempotent) => {
        $hints.idempotent = Some(true);
    };
    ($hints:ident $title:ident additive) => {
        $hints.destructive = Some(false);
    };
    ($hints:ident $title:ident closed_world) => {
        $hints.open_world = Some(false);
    };
    ($hints:ident $title:ident title = $value:literal) => {
        $title = $value;
    };
    // What is asked of the caller is no hint: it stands in no list.
    ($hints:ident $title:ident scope ($need:literal)) => {};
    ($hints:ident $title:ident role ($need:literal)) => {};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __need {
    (scope $scope:literal) => {
        $crate::auth::Need::Scope($scope)
    };
    (role $role:literal) => {
        $crate::auth::Need::Role($role)
    };
}
