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
/// The first line of each entry is its description; hints are attributes: `read_only`, `idempotent`, `additive` (never
/// destructive), `closed_world`. The functions are methods of the application type; one that is missing or takes other
/// arguments does not compile. They are all `fn`, or all `async fn`.
///
/// ```
/// use attache_core::tool::{Nothing, Output, ToolResult};
///
/// attache_core::args! { pub struct SetLed { /** on or off */ on: bool } }
/// attache_core::tools! { pub mod board for Board {
///     /// Switch the LED
///     #[idempotent] fn set_led(SetLed);
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
///     assert_eq!(board::TOOLS[0].name(), "set_led");
/// }
/// ```
#[macro_export]
macro_rules! tools {
    ( $vis:vis mod $module:ident for $app:ident {
        $( $(#[doc = $doc:literal])+ $(#[$hint:ident])* fn $tool:ident ( $args:ty ); )+
    } ) => {
        $crate::__tools! {
            $vis mod $module for $app [] $( { [$($doc),+] [$($hint)*] $tool $args, } )+
        }
    };
    ( $vis:vis mod $module:ident for $app:ident {
        $( $(#[doc = $doc:literal])+ $(#[$hint:ident])* async fn $tool:ident ( $args:ty ); )+
    } ) => {
        $crate::__tools! {
            $vis mod $module for $app [async] $( { [$($doc),+] [$($hint)*] $tool $args, .await } )+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tools {
    (
        $vis:vis mod $module:ident for $app:ident [$($kind:tt)?]
        $( { [$($doc:literal),+] [$($hint:ident)*] $tool:ident $args:ty, $($wait:tt)* } )+
    ) => {
        #[doc = concat!("The tools of [`", stringify!($app), "`].")]
        $vis mod $module {
            #[allow(unused_imports)]
            use super::*;

            /// The table of the tools, in the order of their declaration.
            pub const TOOLS: &[$crate::tool::Tool<'static>] = &[ $( {
                const PARTS: &[$crate::json::Part<'static>] = &[$crate::json::Part::Doc(&[$($doc),+])];
                const TEXT: [u8; $crate::json::joined_len(PARTS)] = $crate::json::join(PARTS);
                #[allow(unused_mut)]
                const HINTS: $crate::tool::Hints = {
                    let mut hints = $crate::tool::Hints::NONE;
                    $( $crate::__hint!(hints $hint); )*
                    hints
                };
                $crate::tool::Tool::new(
                    stringify!($tool),
                    $crate::json::Escaped::from_escaped($crate::tool::constant(&TEXT)),
                    <$args as $crate::tool::Args<'_>>::SCHEMA,
                )
                .expect("a Rust name of at most 128 ASCII characters")
                .with_hints(HINTS)
            } ),+ ];

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
                match NAMED.get(call.tool()) {
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

#[doc(hidden)]
#[macro_export]
macro_rules! __hint {
    ($hints:ident read_only) => {
        $hints.read_only = Some(true);
    };
    ($hints:ident idempotent) => {
        $hints.idempotent = Some(true);
    };
    ($hints:ident additive) => {
        $hints.destructive = Some(false);
    };
    ($hints:ident closed_world) => {
        $hints.open_world = Some(false);
    };
}
