//! The types that handlers return, and their conversion into answers.

use super::error::ToolError;
use super::output::{Content, Contents, PromptOutput, Role, ToolOutput};
use super::streamed::TextStream;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The results that the handler of a tool may return.
///
/// | Type | The model gets |
/// |---|---|
/// | `&'static str`, `String`, numbers, `bool` | a text |
/// | `()` | nothing |
/// | [`Json<T>`](Json) | a structured result, and the tool lists the schema of `T` |
/// | [`serde_json::Value`] | a structured result without a schema |
/// | [`Content`], `Vec<Content>` | blocks, such as images |
/// | `Option<T>` | the value, or nothing |
/// | [`TextStream`] | a text of any length |
/// | [`ToolOutput`] | all of these, built by hand |
/// | `Result<T, ToolError>` | the value or the failure |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a result of a tool",
    label = "the handler returns `{Self}`",
    note = "wrap a type that implements `Serialize` and `JsonSchema` in `attache_host::Json`: `Json(value)`",
    note = "an error must be `attache_host::ToolError`; `?` converts other errors into it"
)]
pub trait IntoToolOutput: Send + 'static {
    /// Returns the schema of the structured result, if there is one.
    fn output_schema() -> Option<Value> {
        None
    }

    /// Converts the value into the result for the client.
    ///
    /// # Errors
    /// The error of the handler.
    fn into_output(self) -> Result<ToolOutput, ToolError>;
}

impl IntoToolOutput for ToolOutput {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(self)
    }
}

impl IntoToolOutput for Content {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::new([self]))
    }
}

impl IntoToolOutput for Vec<Content> {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::new(self))
    }
}

impl IntoToolOutput for String {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Content::Text(self).into_output()
    }
}

impl IntoToolOutput for () {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::default())
    }
}

impl IntoToolOutput for TextStream {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::of_stream(self))
    }
}

/// A structured result without a schema in the list. Before revision 2026-07-28, only objects are
/// structured results; clients of older revisions get other values as a text.
impl IntoToolOutput for Value {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::of_json(self.to_string()))
    }
}

/// `None` is a result without content. The schema of `T` is not listed, because nothing does not fit
/// it: use `Json<Option<T>>` to list one.
impl<T: IntoToolOutput> IntoToolOutput for Option<T> {
    fn into_output(self) -> Result<ToolOutput, ToolError> {
        self.map_or_else(|| ().into_output(), T::into_output)
    }
}

/// Implements the results that are sent as texts.
macro_rules! texts {
    ($($type:ty)*) => {
        $(impl IntoToolOutput for $type {
            fn into_output(self) -> Result<ToolOutput, ToolError> {
                self.to_string().into_output()
            }
        })*
    };
}

texts! { &'static str bool char f32 f64 i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

/// A value as JSON: the structured result of a tool, or the contents of a resource.
///
/// A tool is listed with the schema of the type. Clients validate the result against that schema, so
/// the output of serde must match the schema.
///
/// ```
/// use attache_host::{Ctx, Json, NoArgs, Server};
/// use schemars::JsonSchema;
/// use serde::Serialize;
///
/// #[derive(Serialize, JsonSchema)]
/// struct Air {
///     /// degrees Celsius
///     celsius: f64,
/// }
///
/// let server = Server::new("weather", "1.0")
///     .tool("air", "Measure the air", async |_: NoArgs, _: Ctx| Json(Air { celsius: 21.5 }));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize + JsonSchema + Send + 'static> IntoToolOutput for Json<T> {
    fn output_schema() -> Option<Value> {
        let mut schema = schemars::schema_for!(T).to_value();
        if let Value::Object(root) = &mut schema
            && root.get("title").and_then(Value::as_str) == Some(&*T::schema_name())
        {
            // The name of a Rust type is useless to a model.
            root.remove("title");
        }
        Some(schema)
    }

    fn into_output(self) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::of_json(serde_json::to_string(&self.0)?))
    }
}

impl<T: IntoToolOutput> IntoToolOutput for Result<T, ToolError> {
    fn output_schema() -> Option<Value> {
        T::output_schema()
    }

    fn into_output(self) -> Result<ToolOutput, ToolError> {
        self.and_then(T::into_output)
    }
}

/// The results that the handler of a prompt may return: a text or a block of the user, messages of
/// both roles, or a `Result` of one of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a result of a prompt",
    label = "the handler returns `{Self}`",
    note = "return a text, a `Content`, a `Vec<(Role, Content)>`, or a `Result` of one of these and `ToolError`"
)]
pub trait IntoPrompt: Send + 'static {
    /// Converts the value into the messages of the prompt.
    ///
    /// # Errors
    /// The error of the handler.
    fn into_prompt(self) -> Result<PromptOutput, ToolError>;
}

impl IntoPrompt for PromptOutput {
    fn into_prompt(self) -> Result<PromptOutput, ToolError> {
        Ok(self)
    }
}

impl IntoPrompt for Vec<(Role, Content)> {
    fn into_prompt(self) -> Result<PromptOutput, ToolError> {
        Ok(PromptOutput::new(self))
    }
}

impl IntoPrompt for Content {
    fn into_prompt(self) -> Result<PromptOutput, ToolError> {
        Ok(PromptOutput::new([(Role::User, self)]))
    }
}

impl IntoPrompt for String {
    fn into_prompt(self) -> Result<PromptOutput, ToolError> {
        Content::Text(self).into_prompt()
    }
}

impl IntoPrompt for &'static str {
    fn into_prompt(self) -> Result<PromptOutput, ToolError> {
        self.to_owned().into_prompt()
    }
}

impl<T: IntoPrompt> IntoPrompt for Result<T, ToolError> {
    fn into_prompt(self) -> Result<PromptOutput, ToolError> {
        self.and_then(T::into_prompt)
    }
}

/// The results that the handler of a resource may return: a text, bytes, JSON, or a `Result` of one
/// of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the contents of a resource",
    label = "the handler returns `{Self}`",
    note = "return a text, a `Vec<u8>`, `Json(value)`, a `TextStream` or `Contents`, or a `Result` of one of these and `ToolError`"
)]
pub trait IntoContents: Send + 'static {
    /// Converts the value into the contents of the resource.
    ///
    /// # Errors
    /// The error of the handler.
    fn into_contents(self) -> Result<Contents, ToolError>;
}

impl IntoContents for Contents {
    fn into_contents(self) -> Result<Contents, ToolError> {
        Ok(self)
    }
}

impl IntoContents for TextStream {
    fn into_contents(self) -> Result<Contents, ToolError> {
        Ok(Contents::streamed(self))
    }
}

impl IntoContents for String {
    fn into_contents(self) -> Result<Contents, ToolError> {
        Ok(Contents::text(self))
    }
}

impl IntoContents for &'static str {
    fn into_contents(self) -> Result<Contents, ToolError> {
        Ok(Contents::text(self))
    }
}

impl IntoContents for Vec<u8> {
    fn into_contents(self) -> Result<Contents, ToolError> {
        Ok(Contents::blob(self))
    }
}

impl IntoContents for Value {
    fn into_contents(self) -> Result<Contents, ToolError> {
        Ok(Contents::text(self.to_string()))
    }
}

impl<T: Serialize + Send + 'static> IntoContents for Json<T> {
    fn into_contents(self) -> Result<Contents, ToolError> {
        Ok(Contents::text(serde_json::to_string(&self.0)?))
    }
}

/// `None` is the answer that there is no such resource.
impl<T: IntoContents> IntoContents for Option<T> {
    fn into_contents(self) -> Result<Contents, ToolError> {
        self.ok_or_else(ToolError::not_found)?.into_contents()
    }
}

impl<T: IntoContents> IntoContents for Result<T, ToolError> {
    fn into_contents(self) -> Result<Contents, ToolError> {
        self.and_then(T::into_contents)
    }
}
