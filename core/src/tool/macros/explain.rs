//! Compiler errors for declarations that do not match: these macros run only then.

#[doc(hidden)]
#[macro_export]
macro_rules! __explain_args {
    ( $(#[$about:meta])* $vis:vis struct $name:ident $(<$life:lifetime>)? { $($body:tt)* } ) => {
        $crate::__explain_field! { [] $($body)* , }
    };
    ( $(#[$about:meta])* $vis:vis struct $name:ident < $($rest:tt)* ) => {
        compile_error!(concat!(
            "`", stringify!($name), "` may have one lifetime and no other parameters: `struct ", stringify!($name), "<'a> { … }`"
        ));
    };
    ( $(#[$about:meta])* $vis:vis struct $name:ident $($rest:tt)* ) => {
        compile_error!(concat!(
            "give each member a name: `struct ", stringify!($name), " { /** what it is for */ level: u8 }`"
        ));
    };
    ( $(#[$about:meta])* $vis:vis enum $name:ident $($rest:tt)* ) => {
        compile_error!(concat!(
            "an enum of arguments has variants without fields, each with an optional name: `enum ", stringify!($name),
            " { Heat, RoomSensor = \"sensor\" }`"
        ));
    };
    ($($other:tt)*) => {
        compile_error!("expected `struct Name { /** what it is for */ level: u8, … }`, or `enum Name { One, Two }`");
    };
}

/// Removes one field after the other from the front, up to the first one that is wrong.
#[doc(hidden)]
#[macro_export]
macro_rules! __explain_field {
    ($state:tt #[doc = $doc:literal] $($rest:tt)*) => {
        $crate::__explain_field! { [documented] $($rest)* }
    };
    ([documented] #[cfg($($cfg:tt)*)] $($rest:tt)*) => {
        $crate::__explain_field! { [documented] $($rest)* }
    };
    ([documented] #[name = $name:literal] $($rest:tt)*) => {
        $crate::__explain_field! { [documented] $($rest)* }
    };
    ([documented] #[$($other:tt)*] $($rest:tt)*) => {
        compile_error!(concat!(
            "unknown attribute `#[", stringify!($($other)*), "]` of a member; there are, in this order: doc comments, `#[cfg(…)]` ",
            "and `#[name = \"…\"]`"
        ));
    };
    ([] #[$($other:tt)*] $($rest:tt)*) => {
        compile_error!(concat!(
            "the doc comment of a member comes before `#[", stringify!($($other)*), "]`; the model reads it as the description"
        ));
    };
    ([documented] $vis:vis $field:ident : $type:ty = $default:literal , $($rest:tt)*) => {
        $crate::__explain_field! { [] $($rest)* }
    };
    ([documented] $vis:vis $field:ident : $type:ty = $default:expr , $($rest:tt)*) => {
        compile_error!(concat!(
            "the default of `", stringify!($field), "` must be a literal, because the schema shows it: 5, 21.5, true or \"text\""
        ));
    };
    ([documented] $vis:vis $field:ident : $type:ty , $($rest:tt)*) => {
        $crate::__explain_field! { [] $($rest)* }
    };
    ([] $vis:vis $field:ident : $type:ty $(= $default:expr)? , $($rest:tt)*) => {
        compile_error!(concat!(
            "member `", stringify!($field), "` needs a doc comment: the model reads it as the description"
        ));
    };
    ($state:tt $vis:vis $field:ident : $type:ty $(= $default:expr)? ; $($rest:tt)*) => {
        compile_error!(concat!("a comma goes behind `", stringify!($field), "`, not a semicolon"));
    };
    ($($other:tt)*) => {
        compile_error!("expected members such as `/** what it is for */ level: u8`, with commas in between");
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __explain_table {
    ($macro:literal $example:literal $(#[$about:meta])* $vis:vis mod $module:ident $(<$($param:ident : $bound:path),+ $(,)?>)? for $app:ty { }) => {
        compile_error!(concat!("no ", $macro, " are declared"));
    };
    ($macro:literal $example:literal $(#[$about:meta])* $vis:vis mod $module:ident $(<$($param:ident : $bound:path),+ $(,)?>)? for $app:ty { $($body:tt)* } $($rest:tt)*) => {
        $crate::__explain_entry! { $macro $example $($body)* }
    };
    ($macro:literal $example:literal $($other:tt)*) => {
        compile_error!(concat!(
            "expected `", $macro, "! { pub mod ", $macro, " for Board { /** what it does */ ", $example, " … } }`"
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __explain_entry {
    ($macro:literal $example:literal #[$($attr:tt)*] $($rest:tt)*) => {
        $crate::__explain_entry! { $macro $example $($rest)* }
    };
    ($macro:literal $example:literal $(async)? fn $name:ident ( $args:ty $(, $with:ident)? ) $(-> $result:ty)? ; $($rest:tt)*) => {
        $crate::__explain_entry! { $macro $example $($rest)* }
    };
    ($macro:literal $example:literal $(async)? fn $name:ident ( ) $($rest:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($name), "` needs a type of arguments: `fn ", stringify!($name), "(Nothing);` if it takes none"
        ));
    };
    ($macro:literal $example:literal $(async)? fn $name:ident ( & $($inner:tt)* ) $($rest:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($name), "` is declared by its type of arguments alone: `fn ", stringify!($name), "(Arguments);`; the method of ",
            "this name takes `&self`, the arguments and the output"
        ));
    };
    ($macro:literal $example:literal $($other:tt)*) => {
        compile_error!(concat!("expected entries of ", $macro, "! such as `/** what it does */ ", $example, "`"));
    };
}
