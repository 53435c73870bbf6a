//! The names that an application needs, for `use attache_core::prelude::*`. None of them is the name of something in a HAL: the output of a
//! handler is `Answer` here, and the level of a log message `LogLevel`, because `Output` and `Level` are pins.

#[cfg(feature = "embassy")]
pub use crate::embassy::{Changes, Line, LineBuffers};
pub use crate::json::Text;
pub use crate::mcp::Server;
pub use crate::tool::{
    Call, Completing, Contents, Fixed, Level as LogLevel, List, Messages, Nothing, OrFail, Output as Answer, Read,
    Role, Tables, TextBlock, ToolError, ToolResult, Values, Within,
};
pub use crate::{args, dispatch, prompts, resources, results, tools};
