//! `tools!`: the tools of an application type, declared in one place.

/// Declares the tools of an application: methods of one type, with the descriptions, hints and
/// scopes that clients see. The words are those of the macro of the same name for devices.
///
/// The macro makes a module with a function `of`, which returns the tools of an `Arc` of the
/// application. Each tool is declared by the types of its parameters: none, the arguments, [`Ctx`],
/// or the arguments and `Ctx`. The method of the same name takes `&self` (or `self: Arc<Self>`) and
/// these parameters, and returns whatever a handler may return ([`IntoToolOutput`]).
///
/// ```
/// use attache_host::{Ctx, Json, OrUser, Server, ToolError, tools};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use std::sync::{Arc, Mutex};
///
/// tools! { pub mod notes for Notes {
///     /// Add a note
///     #[additive] #[scope("notes.write")] async fn add(Draft) -> Note;
///     /// List all notes.
///     /// The oldest is first.
///     #[read_only] #[title = "All notes"] async fn list();
///     /// Remove a note
///     #[destructive] #[idempotent] #[scope("notes.write")] async fn remove(Number, Ctx);
/// } }
///
/// #[derive(Default)]
/// struct Notes(Mutex<Vec<String>>);
///
/// impl Notes {
///     async fn add(&self, draft: Draft) -> Result<Note, ToolError> {
///         let mut notes = self.0.lock().map_err(ToolError::internal)?;
///         notes.push(draft.text.clone());
///         Ok(Note { number: notes.len(), text: draft.text })
///     }
///
///     async fn list(&self) -> Result<Json<Vec<String>>, ToolError> {
///         Ok(Json(self.0.lock().map_err(ToolError::internal)?.clone()))
///     }
///
///     async fn remove(&self, note: Number, ctx: Ctx) -> Result<String, ToolError> {
///         ctx.progress(0.0, None, Some("looking for the note")).await;
///         let mut notes = self.0.lock().map_err(ToolError::internal)?;
///         notes.get(note.number).or_user("there is no note of this number")?;
///         Ok(notes.remove(note.number))
///     }
/// }
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Draft {
///     /// what to remember
///     text: String,
/// }
///
/// #[derive(Serialize, JsonSchema)]
/// struct Note {
///     number: usize,
///     text: String,
/// }
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Number {
///     /// number of the note, from 0
///     number: usize,
/// }
///
/// fn main() {
///     let app = Arc::new(Notes::default());
///     let server = Server::new("notes", "1.0").with_tools(notes::of(&app));
/// }
/// ```
///
/// The doc comment is the description that the model reads; it may have any number of lines. A tool
/// with a result type (`-> Note`) returns `Result<Note, ToolError>` and lists the schema of the type;
/// a tool without one may return anything. Attributes:
///
/// | Attribute | Meaning |
/// |---|---|
/// | `#[name = "…"]`, `#[title = "…"]` | another name than that of the method; a name for people |
/// | `#[read_only]`, `#[idempotent]`, `#[additive]`, `#[destructive]`, `#[closed_world]`, `#[open_world]` | hints, as the methods of [`Tool`] of these names |
/// | `#[scope("…")]`, `#[role("…")]` | what the token of a caller must have; may be repeated |
/// | `#[timeout(…)]`, `#[concurrency(…)]` | [`Tool::timeout`], [`Tool::concurrency`] |
/// | `#[blocking]` | the method is not async, and runs on a thread for blocking work |
/// | `#[cfg(…)]` | leaves the tool out of a build |
///
/// [`Ctx`]: crate::Ctx
/// [`IntoToolOutput`]: crate::IntoToolOutput
/// [`Tool`]: crate::Tool
/// [`Tool::timeout`]: crate::Tool::timeout
/// [`Tool::concurrency`]: crate::Tool::concurrency
#[macro_export]
macro_rules! tools {
    ( $(#[$about:meta])* $vis:vis mod $module:ident for $app:ty {
        $(
            $(#[$($attribute:tt)*])*
            $(async $($never:literal)?)? fn $tool:ident ( $($parameters:tt)* ) $(-> $result:ty)? ;
        )+
    } ) => {
        $(#[$about])*
        #[doc = concat!("The tools of `", stringify!($app), "`.")]
        $vis mod $module {
            #[allow(unused_imports)]
            use super::*;

            /// Returns the tools of `app`, in the order of their declaration.
            #[must_use]
            pub fn of(app: &::std::sync::Arc<$app>) -> ::std::vec::Vec<$crate::Tool> {
                let mut tools = ::std::vec::Vec::new();
                $( $crate::__tool! {
                    [tools app $tool [$($parameters)*] [$(.await $($never)?)?] [$($result)?]]
                    [] [] [stringify!($tool)] [new] [] $([$($attribute)*])*
                } )+
                tools
            }
        }
    };
    ($($other:tt)*) => {
        ::core::compile_error!(concat!(
            "expected `tools! { pub mod tools for App { /** what it does */ async fn add(Draft); … } }`: each tool ends with a ",
            "semicolon and is declared by the types of its parameters"
        ));
    };
}

/// Reads the attributes of one tool, and adds the tool to the list: the call, `cfg`, the lines of the
/// description, the name, the constructor, and the methods of the builder.
#[doc(hidden)]
#[macro_export]
macro_rules! __tool {
    ($of:tt $cfg:tt [$($doc:tt)*] $name:tt $new:tt $with:tt [doc = $line:literal] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg [$($doc)* $line] $name $new $with $($rest)* }
    };
    ($of:tt [$($cfg:tt)*] $doc:tt $name:tt $new:tt $with:tt [cfg $when:tt] $($rest:tt)*) => {
        $crate::__tool! { $of [$($cfg)* #[cfg $when]] $doc $name $new $with $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt $with:tt [name = $other:literal] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc [$other] $new $with $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt $with:tt [blocking] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name [blocking] $with $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [title = $title:literal] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .title($title)] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [read_only] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .read_only()] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [idempotent] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .idempotent()] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [additive] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .additive()] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [destructive] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .destructive()] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [closed_world] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .closed_world()] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [open_world] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .open_world()] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [scope($scope:expr)] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .scope($scope)] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [role($role:expr)] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .role($role)] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [timeout($time:expr)] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .timeout($time)] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt [$($with:tt)*] [concurrency($calls:expr)] $($rest:tt)*) => {
        $crate::__tool! { $of $cfg $doc $name $new [$($with)* .concurrency($calls)] $($rest)* }
    };
    ($of:tt $cfg:tt $doc:tt $name:tt $new:tt $with:tt [$($other:tt)*] $($rest:tt)*) => {
        ::core::compile_error!(concat!(
            "unknown attribute `#[", stringify!($($other)*), "]` of a tool; there are: doc comments, `name = \"…\"`, `title = \"…\"`, ",
            "`read_only`, `idempotent`, `additive`, `destructive`, `closed_world`, `open_world`, `scope(\"…\")`, `role(\"…\")`, ",
            "`timeout(…)`, `concurrency(…)`, `blocking` and `cfg(…)`"
        ));
    };
    ([$tools:ident $app:ident $tool:ident $($call:tt)*] $cfg:tt [] $name:tt $new:tt $with:tt) => {
        ::core::compile_error!(concat!(
            "tool `", stringify!($tool), "` needs a doc comment: it is the description that the model reads"
        ));
    };
    ([$tools:ident $($call:tt)*] [$($cfg:tt)*] [$($doc:literal)+] [$name:expr] [$new:ident] [$($with:tt)*]) => {
        $($cfg)*
        $tools.push(
            $crate::Tool::$new($name, &$crate::__description(&[$($doc),+]), $crate::__method!($new $($call)*)) $($with)*
        );
    };
}

/// The handler that calls a method. The arguments have the name of the method, so that the compiler
/// reports a wrong type at the line of the declaration.
#[doc(hidden)]
#[macro_export]
macro_rules! __method {
    ($new:ident $app:ident $tool:ident [] $wait:tt $result:tt) => {
        $crate::__method!($new $app [_: $crate::NoArgs, _: $crate::Ctx] [$tool()] $wait $result)
    };
    ($new:ident $app:ident $tool:ident [Ctx] $wait:tt $result:tt) => {
        $crate::__method!($new $app [_: $crate::NoArgs, ctx: $crate::Ctx] [$tool(ctx)] $wait $result)
    };
    ($new:ident $app:ident $tool:ident [$arguments:ty] $wait:tt $result:tt) => {
        $crate::__method!($new $app [$tool: $arguments, _: $crate::Ctx] [$tool($tool)] $wait $result)
    };
    ($new:ident $app:ident $tool:ident [$arguments:ty, Ctx] $wait:tt $result:tt) => {
        $crate::__method!($new $app [$tool: $arguments, ctx: $crate::Ctx] [$tool($tool, ctx)] $wait $result)
    };
    (new $app:ident [$($parameters:tt)*] [$($call:tt)*] [$($wait:tt)*] [$($result:ty)?]) => {{
        let app = ::std::sync::Arc::clone($app);
        move |$($parameters)*| {
            let app = ::std::sync::Arc::clone(&app);
            async move { app.$($call)* $($wait)* $(.map($crate::Json::<$result>))? }
        }
    }};
    (blocking $app:ident [$($parameters:tt)*] [$($call:tt)*] [] [$($result:ty)?]) => {{
        let app = ::std::sync::Arc::clone($app);
        move |$($parameters)*| ::std::sync::Arc::clone(&app).$($call)* $(.map($crate::Json::<$result>))?
    }};
    (blocking $($other:tt)*) => {
        ::core::compile_error!("a method with `#[blocking]` is not async: `fn render(Chart);`")
    };
    ($new:ident $app:ident $tool:ident [$($parameters:tt)*] $($other:tt)*) => {
        ::core::compile_error!(concat!(
            "tool `", stringify!($tool), "` is declared by the types of its parameters: none, `Arguments`, `Ctx`, or `Arguments, Ctx`; ",
            "not by `(", stringify!($($parameters)*), ")`"
        ))
    };
}

/// Joins the lines of a doc comment.
#[doc(hidden)]
pub fn __description(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n").trim().to_owned()
}
