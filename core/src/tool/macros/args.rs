//! `args!`: the arguments of a tool or a prompt.

/// Declares a type of arguments: a struct with its JSON Schema and its reader, or an enum for a closed set of strings.
///
/// Doc comments become the descriptions that a model reads, so each argument needs one. Types are those that implement
/// [`Argument`](crate::tool::Argument); a struct or an enum of `args!` is one of them. An `Option` may be left out or `null`; an argument with a
/// default (`= 50`, `= 21.5`, `= true`, `= "text"`) may be left out. `#[name = "…"]` gives an argument another name in JSON, and `r#type` is
/// `type` there; `#[cfg(…)]` leaves it out of a build. They follow the doc comment in this order. Give the struct a lifetime if a field borrows
/// from the request, as [`Text`](crate::json::Text) does.
///
/// ```
/// use attache_core::tool::{Args, Fixed, Within};
///
/// attache_core::args! {
///     /// Arguments of `heat`.
///     #[derive(Debug)]
///     pub struct Heat {
///         /// target in degrees Celsius
///         target: Fixed<1, 50, 300> = 21.5,
///         /// share of the full power
///         power: Option<Within<u8, 0, 100>>,
///         /// what the heating follows
///         #[name = "mode"]
///         by: Mode,
///     }
/// }
/// attache_core::args! {
///     /// The temperature that the heating follows.
///     #[derive(Debug)]
///     pub enum Mode { Schedule, RoomSensor, Off = "off" }
/// }
/// assert_eq!(
///     Heat::SCHEMA,
///     concat!(
///         r#"{"type":"object","properties":{"#,
///         r#""target":{"description":"target in degrees Celsius","type":"number","minimum":5.0,"maximum":30.0,"default":21.5},"#,
///         r#""power":{"description":"share of the full power","type":["integer","null"],"minimum":0,"maximum":100},"#,
///         r#""mode":{"description":"what the heating follows","type":"string","enum":["schedule","room_sensor","off"]}},"#,
///         r#""required":["mode"],"additionalProperties":false}"#,
///     )
/// );
/// ```
#[macro_export]
macro_rules! args {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[doc = $doc:literal])+ $(#[cfg($($cfg:tt)*)])* $(#[name = $said:literal])?
                $field_vis:vis $field:ident : $type:ty $(= $default:literal)?
            ),* $(,)?
        }
    ) => {
        $(#[$about])*
        $vis struct $name $(<$life>)? {
            $( $(#[doc = $doc])+ $(#[cfg($($cfg)*)])* pub $field: $type, )*
        }

        $crate::__args! { $name ($($life)?) {
            $( { $(#[cfg($($cfg)*)])* } [$($doc),+] [$field $($said)?] $field : $type [$($default)?], )*
        } }
    };
    (
        $(#[$about:meta])*
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $doc:literal])* $(#[cfg($($cfg:tt)*)])* $variant:ident $(= $said:literal)?
            ),+ $(,)?
        }
    ) => {
        $(#[$about])*
        $vis enum $name {
            $( $(#[doc = $doc])* $(#[cfg($($cfg)*)])* $variant, )+
        }

        $crate::__choices! { $name { $( { $(#[cfg($($cfg)*)])* } $variant [$($said)?], )+ } }
    };
    ($($other:tt)*) => {
        $crate::__explain_args! { $($other)* }
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
    (@ $whole:ty, $static:ty, $life:lifetime {
        $( { $(#[$cfg:meta])* } [$($doc:literal),+] [$($said:tt)+] $field:ident : $type:ty [$($default:literal)?], )*
    }) => {
        impl<$life> $crate::tool::Args<$life> for $whole {
            const FIELDS: &'static [$crate::tool::Field] = &[ $( $(#[$cfg])* $crate::tool::Field {
                name: $crate::__name!($($said)+),
                doc: &[$($doc),+],
                expected: <$type as $crate::tool::Argument<$life>>::EXPECTED,
                nullable: <$type as $crate::tool::Argument<$life>>::OPTIONAL,
                optional: <$type as $crate::tool::Argument<$life>>::OPTIONAL,
                default: "",
            } $( .or(stringify!($default)) )? ),* ];

            // The length of an array cannot depend on the lifetime of the impl, so the type with
            // the lifetime `'static` supplies it.
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

            #[allow(unused_mut)]
            fn read(
                arguments: $crate::tool::Arguments<$life>,
            ) -> ::core::result::Result<Self, $crate::tool::ArgumentError<$life>> {
                const NAMES: &[&str] = &[ $( $(#[$cfg])* $crate::__name!($($said)+) ),* ];
                let mut values = [::core::option::Option::None; NAMES.len()];
                let mut sorted = $crate::tool::Sorted::new(arguments, NAMES, &mut values);
                let read = (|| ::core::option::Option::Some(Self {
                    $( $(#[$cfg])* $field: $crate::__take!(sorted $($default)?)?, )*
                }))();
                sorted.end(read)
            }
        }

        impl<$life> $crate::tool::Argument<$life> for $whole {
            const EXPECTED: $crate::tool::Expected = $crate::tool::Expected::object(&[$crate::json::Part::Json(
                $crate::tool::members_of(<Self as $crate::tool::Args<$life>>::SCHEMA),
            )]);

            fn read(value: $crate::json::Value<$life>) -> ::core::option::Option<Self> {
                <Self as $crate::tool::Argument<$life>>::read_at(value).ok()
            }

            fn read_at(
                value: $crate::json::Value<$life>,
            ) -> ::core::result::Result<Self, $crate::tool::ArgumentError<$life>> {
                $crate::tool::read_object(value)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __take {
    ($sorted:ident) => {
        $sorted.take()
    };
    ($sorted:ident $default:literal) => {
        $sorted.take_or(stringify!($default))
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __choices {
    ($name:ident { $( { $(#[$cfg:meta])* } $variant:ident [$($said:literal)?], )+ }) => {
        impl $name {
            const CHOICES: &'static [&'static str] = &[ $( $(#[$cfg])* $crate::__choice!($variant $($said)?) ),+ ];

            /// Returns the string that represents the variant in JSON.
            pub const fn name(&self) -> &'static str {
                match self {
                    $( $(#[$cfg])* Self::$variant => $crate::__choice!($variant $($said)?), )+
                }
            }
        }

        impl<'a> $crate::tool::Argument<'a> for $name {
            const EXPECTED: $crate::tool::Expected = $crate::tool::Expected::one_of(
                Self::CHOICES,
                &[$crate::json::Part::Json("one of "), $crate::json::Part::Choices(Self::CHOICES)],
            );

            fn read(value: $crate::json::Value<'a>) -> ::core::option::Option<Self> {
                let text = value.text()?;
                $( $(#[$cfg])* if text.is($crate::__choice!($variant $($said)?)) {
                    return ::core::option::Option::Some(Self::$variant);
                } )+
                ::core::option::Option::None
            }
        }

        impl $crate::tool::ToJson for $name {
            const EXPECTED: $crate::tool::Expected = <Self as $crate::tool::Argument<'static>>::EXPECTED;

            fn write(&self, out: &mut dyn $crate::json::Sink) -> ::core::result::Result<(), $crate::json::Full> {
                $crate::tool::ToJson::write(&self.name(), out)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __choice {
    ($variant:ident) => {{
        const NAME: &str = $crate::tool::plain_name(stringify!($variant));
        const TEXT: [u8; $crate::tool::snake_case_len(NAME)] = $crate::tool::snake_case(NAME);
        const { $crate::tool::constant(&TEXT) }
    }};
    ($variant:ident $said:literal) => {
        $said
    };
}
