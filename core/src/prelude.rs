//! The names that an application needs, for `use attache_core::prelude::*`. None of them conflicts
//! with a name of a HAL: `Output` and `Level` are pins there, so the output of a handler is
//! `Answer` here, and the level of a log message is `LogLevel`.

#[cfg(feature = "embassy")]
pub use crate::embassy::{Changes, Line, LineBuffers};
pub use crate::json::Text;
pub use crate::mcp::Server;
pub use crate::tool::{
    Call, Completing, Contents, Fixed, Level as LogLevel, List, Messages, Nothing, OrFail, Output as Answer, Read,
    Role, Tables, TextBlock, ToolError, ToolResult, Values, Within,
};
pub use crate::{args, dispatch, prompts, resources, results, tools};
