//! Errors of drivers as failures of a tool.

use super::ToolError;

/// Turns the error of a driver, of any type, into the failure of a tool:
/// `sensor.read().or_fail("the sensor does not answer")?`.
pub trait OrFail<T> {
    /// Returns the value, or a failure with this reason, which the client sees.
    ///
    /// # Errors
    /// [`ToolError::Failed`].
    fn or_fail(self, reason: &'static str) -> Result<T, ToolError>;
}

impl<T, E> OrFail<T> for Result<T, E> {
    fn or_fail(self, reason: &'static str) -> Result<T, ToolError> {
        self.map_err(|_| ToolError::Failed(reason))
    }
}

impl<T> OrFail<T> for Option<T> {
    fn or_fail(self, reason: &'static str) -> Result<T, ToolError> {
        self.ok_or(ToolError::Failed(reason))
    }
}
