//! Macros that the declarations of all kinds share.

/// The name of an argument or of a tool in JSON.
#[doc(hidden)]
#[macro_export]
macro_rules! __name {
    ($name:ident) => {
        const { $crate::tool::plain_name(stringify!($name)) }
    };
    ($name:ident $said:literal) => {
        $said
    };
}

/// Collects the attributes of a declaration, one call for each attribute.
#[doc(hidden)]
#[macro_export]
macro_rules! __say {
    ($said:ident $kind:literal doc = $doc:expr) => {
        $said.doc($doc)
    };
    ($said:ident $kind:literal name = $name:literal) => {
        $said.name($name)
    };
    ($said:ident $kind:literal title = $title:literal) => {
        $said.title($title)
    };
    ($said:ident $kind:literal scope($scope:literal)) => {
        $said.need($crate::auth::Need::Scope($scope))
    };
    ($said:ident $kind:literal role($role:literal)) => {
        $said.need($crate::auth::Need::Role($role))
    };
    ($said:ident $kind:literal cfg($($cfg:tt)*)) => {
        $said
    };
    ($said:ident "tool" read_only) => {
        $said.hints($crate::tool::Hints { read_only: Some(true), ..$said.hints })
    };
    ($said:ident "tool" idempotent) => {
        $said.hints($crate::tool::Hints { idempotent: Some(true), ..$said.hints })
    };
    ($said:ident "tool" additive) => {
        $said.hints($crate::tool::Hints { destructive: Some(false), ..$said.hints })
    };
    ($said:ident "tool" closed_world) => {
        $said.hints($crate::tool::Hints { open_world: Some(false), ..$said.hints })
    };
    ($said:ident "tool" $($other:tt)*) => {
        compile_error!(concat!(
            "unknown attribute `#[", stringify!($($other)*), "]` of a tool; there are: doc comments, `#[name = \"…\"]`, ",
            "`#[title = \"…\"]`, `#[read_only]`, `#[idempotent]`, `#[additive]`, `#[closed_world]`, `#[scope(\"…\")]`, ",
            "`#[role(\"…\")]` and `#[cfg(…)]`"
        ))
    };
    ($said:ident $kind:literal $($other:tt)*) => {
        compile_error!(concat!(
            "unknown attribute `#[", stringify!($($other)*), "]` of a ", $kind, "; there are: doc comments, ",
            "`#[name = \"…\"]`, `#[title = \"…\"]`, `#[scope(\"…\")]`, `#[role(\"…\")]` and `#[cfg(…)]`"
        ))
    };
}

/// Expands to the first block if these `cfg` attributes hold, otherwise to the second one.
#[doc(hidden)]
#[macro_export]
macro_rules! __when {
    ([$(($($cfg:tt)*))*] [#[cfg($($more:tt)*)] $($rest:tt)*] $yes:block $no:block) => {
        $crate::__when! { [$(($($cfg)*))* ($($more)*)] [$($rest)*] $yes $no }
    };
    // Takes many lines of a doc comment at once, because of the recursion limit.
    ($cfgs:tt [#[doc = $a:expr] #[doc = $b:expr] #[doc = $c:expr] #[doc = $d:expr] $($rest:tt)*] $yes:block $no:block) => {
        $crate::__when! { $cfgs [$($rest)*] $yes $no }
    };
    ($cfgs:tt [#[$($other:tt)*] $($rest:tt)*] $yes:block $no:block) => {
        $crate::__when! { $cfgs [$($rest)*] $yes $no }
    };
    ([] [] $yes:block $no:block) => {
        $yes
    };
    ([$(($($cfg:tt)*))+] [] $yes:block $no:block) => {{
        #[cfg(all($($($cfg)*),+))]
        $yes
        #[cfg(not(all($($($cfg)*),+)))]
        $no
    }};
}

/// Joins constant parts to the members of an entry: those of every revision, those since
/// 2025-06-18, and the hints.
#[doc(hidden)]
#[macro_export]
macro_rules! __members {
    ($parts:expr, $later:expr, $hints:expr) => {{
        use $crate::era::Version;
        use $crate::tool::Member;
        const TEXT: [u8; $crate::json::joined_len($parts)] = $crate::json::join($parts);
        const LATER_TEXT: [u8; $crate::json::joined_len($later)] = $crate::json::join($later);
        const HINTS_TEXT: [u8; $crate::json::joined_len($hints)] = $crate::json::join($hints);
        const ALWAYS: Member<'static> = Member::always($crate::tool::constant(&TEXT));
        const TITLED: Member<'static> = Member::since(Version::V2025_06_18, $crate::tool::constant(&LATER_TEXT));
        const HINTED: Member<'static> = Member::since(Version::V2025_03_26, $crate::tool::constant(&HINTS_TEXT));
        // An empty group would leave a comma behind.
        const MEMBERS: &[Member<'static>] = match (TITLED.json.is_empty(), HINTED.json.is_empty()) {
            (true, true) => &[ALWAYS],
            (false, true) => &[ALWAYS, TITLED],
            (true, false) => &[ALWAYS, HINTED],
            (false, false) => &[ALWAYS, TITLED, HINTED],
        };
        MEMBERS
    }};
}

/// The call, for a tool that declares a `Call`.
#[doc(hidden)]
#[macro_export]
macro_rules! __call {
    (Call $call:ident) => {
        $call
    };
    ($other:ident $call:ident) => {
        compile_error!(concat!("`", stringify!($other), "` cannot follow the arguments of a tool; `Call` can"))
    };
}

/// Ends a handler: with nothing more, or with a result that its type writes.
#[doc(hidden)]
#[macro_export]
macro_rules! __outcome {
    ($ended:expr, $out:ident) => {
        $ended
    };
    ($ended:expr, $out:ident, $result:ty) => {{
        let ended: ::core::result::Result<$result, $crate::tool::ToolError> = $ended;
        $out.outcome(ended)
    }};
}

/// The schema of a result; empty if a tool declares none.
#[doc(hidden)]
#[macro_export]
macro_rules! __output_schema {
    () => {
        ""
    };
    ($result:ty) => {
        <$result as $crate::tool::Outcome>::SCHEMA
    };
}
