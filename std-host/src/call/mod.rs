//! One call: its questions to the client, the events that it sends, and its outcome.

mod ask;
mod asked;
mod asking;
mod error;
mod events;
mod form;
mod form_schema;
mod metadata;
mod outcome;
mod output;
mod page;
mod parked;
mod result;
mod sealer;
mod state;
mod streamed;

pub use ask::{Ask, Elicited};
pub use asked::{CompletionRequest, NoArgs, ResourceRequest};
pub(crate) use asking::Asking;
pub(crate) use error::Failure;
pub use error::{OrUser, ToolError};
pub(crate) use events::{Event, EventReceiver, Events, Question};
pub(crate) use form_schema::form_of;
pub(crate) use metadata::{Extensions, Metadata, fault_of_keys, is_reserved};
pub use metadata::{SpanIds, TraceContext};
pub(crate) use outcome::{Forwarded, Outcome, Run, StreamedText, crashed, guarded, tool_crashed};
pub(crate) use output::annotations;
pub use output::{Content, Contents, PromptOutput, Role, ToolOutput};
pub use page::UserPage;
pub(crate) use parked::{Parking, Suspended, parked_gone, parked_too_many};
pub use result::{IntoContents, IntoPrompt, IntoToolOutput, Json};
pub(crate) use sealer::Sealer;
pub(crate) use state::{Binding, ParkedCall};
pub use streamed::TextStream;
