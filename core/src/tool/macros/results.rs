//! `results!`: the structured result of a tool.

/// Declares the structured result of a tool: a struct with its JSON Schema (`outputSchema`), which is written in place.
///
/// Members are of types that implement [`ToJson`](crate::tool::ToJson); a struct of `results!` and an enum of [`args!`](crate::args) are among
/// them. `#[name = "…"]` and `#[cfg(…)]` follow the doc comment, as in `args!`.
///
/// ```
/// use attache_core::tool::{Fixed, Nothing, Output, ToolError};
///
/// attache_core::results! {
///     /// The measurement of the sensor.
///     pub struct Reading {
///         /// degrees Celsius
///         celsius: Fixed<1>,
///         /// per cent, if there is a second sensor
///         humidity: Option<u8>,
///     }
/// }
/// attache_core::tools! { pub mod tools for Board {
///     /// Measure the air
///     #[read_only] fn measure(Nothing) -> Reading;
/// } }
///
/// pub struct Board;
/// impl Board {
///     fn measure(&self, _: Nothing, _: &mut Output<'_>) -> Result<Reading, ToolError> {
///         let celsius = Fixed::new(215).ok_or(ToolError::Failed("out of range"))?;
///         Ok(Reading { celsius, humidity: None })
///     }
/// }
/// fn main() {
///     assert!(tools::TOOLS[0].members()[1].json.starts_with(r#""outputSchema":{"type":"object","properties":{"celsius":"#));
/// }
/// ```
#[macro_export]
macro_rules! results {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[doc = $doc:literal])+ $(#[cfg($($cfg:tt)*)])* $(#[name = $said:literal])?
                $field_vis:vis $field:ident : $type:ty
            ),+ $(,)?
        }
    ) => {
        $(#[$about])*
        $vis struct $name $(<$life>)? {
            $( $(#[doc = $doc])+ $(#[cfg($($cfg)*)])* pub $field: $type, )+
        }

        $crate::__results! { $name ($($life)?) {
            $( { $(#[cfg($($cfg)*)])* } [$($doc),+] [$field $($said)?] $field : $type, )+
        } }
    };
    ($($other:tt)*) => {
        $crate::__explain_args! { $($other)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __results {
    ($name:ident () { $($fields:tt)* }) => {
        $crate::__results! { @ $name, $name, [] { $($fields)* } }
    };
    ($name:ident ($life:lifetime) { $($fields:tt)* }) => {
        $crate::__results! { @ $name<$life>, $name<'static>, [<$life>] { $($fields)* } }
    };
    (@ $whole:ty, $static:ty, [$($life:tt)*] {
        $( { $(#[$cfg:meta])* } [$($doc:literal),+] [$($said:tt)+] $field:ident : $type:ty, )+
    }) => {
        impl $($life)* $crate::tool::Outcome for $whole {
            const FIELDS: &'static [$crate::tool::Field] = &[ $( $(#[$cfg])* $crate::tool::Field {
                name: $crate::__name!($($said)+),
                doc: &[$($doc),+],
                expected: <$type as $crate::tool::ToJson>::EXPECTED,
                nullable: <$type as $crate::tool::ToJson>::OPTIONAL,
                optional: false,
                default: "",
            } ),+ ];

            const SCHEMA: &'static str = {
                const FIELDS: &[$crate::tool::Field] = <$static as $crate::tool::Outcome>::FIELDS;
                const TEXT: [u8; $crate::tool::schema_len(FIELDS)] = $crate::tool::schema(FIELDS);
                $crate::tool::constant(&TEXT)
            };

            fn members<'w>(
                &self,
                object: $crate::tool::Object<'w>,
            ) -> ::core::result::Result<$crate::tool::Object<'w>, $crate::json::Full> {
                $( $(#[$cfg])* let object = object.field($crate::__name!($($said)+), &self.$field)?; )+
                ::core::result::Result::Ok(object)
            }
        }

        impl $($life)* $crate::tool::ToJson for $whole {
            const EXPECTED: $crate::tool::Expected = $crate::tool::Expected::object(&[$crate::json::Part::Json(
                $crate::tool::members_of(<Self as $crate::tool::Outcome>::SCHEMA),
            )]);

            fn write(&self, out: &mut dyn $crate::json::Sink) -> ::core::result::Result<(), $crate::json::Full> {
                $crate::tool::Object::write(out, |object| $crate::tool::Outcome::members(self, object))
            }
        }
    };
}
