//! The messages of FunctionRpc that this host sends and reads (protobuf package `AzureFunctionsRpcMessages`).
//! Messages and fields that are not here are skipped.

use bytes::Bytes;
use prost::{Message, Oneof};
use std::collections::HashMap;

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamingMessage {
    #[prost(string, tag = "1")]
    pub(super) request_id: String,
    #[prost(oneof = "Content", tags = "2, 4, 5, 8, 9, 12, 13, 14, 16, 17, 20, 21, 29, 30")]
    pub(super) content: Option<Content>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Content {
    #[prost(message, tag = "2")]
    Log(RpcLog),
    #[prost(message, tag = "4")]
    Invocation(InvocationRequest),
    #[prost(message, tag = "5")]
    Invoked(InvocationResponse),
    #[prost(message, tag = "8")]
    Load(FunctionLoadRequest),
    #[prost(message, tag = "9")]
    Loaded(FunctionLoadResponse),
    #[prost(message, tag = "12")]
    Status(Empty),
    #[prost(message, tag = "13")]
    StatusAnswer(Empty),
    #[prost(message, tag = "14")]
    Terminate(WorkerTerminate),
    #[prost(message, tag = "16")]
    Initialized(WorkerInitResponse),
    #[prost(message, tag = "17")]
    Initialize(WorkerInitRequest),
    #[prost(message, tag = "20")]
    Start(StartStream),
    #[prost(message, tag = "21")]
    Cancel(InvocationCancel),
    #[prost(message, tag = "29")]
    ListFunctions(FunctionsMetadataRequest),
    #[prost(message, tag = "30")]
    Functions(FunctionMetadataResponse),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StartStream {
    #[prost(string, tag = "2")]
    pub(super) worker_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WorkerInitRequest {
    #[prost(string, tag = "1")]
    pub(super) host_version: String,
    #[prost(string, tag = "4")]
    pub(super) worker_directory: String,
    #[prost(string, tag = "5")]
    pub(super) function_app_directory: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WorkerInitResponse {
    #[prost(map = "string, string", tag = "2")]
    pub(super) capabilities: HashMap<String, String>,
    #[prost(message, optional, tag = "3")]
    pub(super) result: Option<StatusResult>,
    #[prost(message, optional, tag = "4")]
    pub(super) worker: Option<WorkerMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WorkerMetadata {
    #[prost(string, tag = "1")]
    pub(super) runtime_name: String,
    #[prost(string, tag = "2")]
    pub(super) runtime_version: String,
    #[prost(string, tag = "3")]
    pub(super) worker_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WorkerTerminate {
    #[prost(message, optional, tag = "1")]
    pub(super) grace: Option<Duration>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Duration {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
}

/// A result. Its status is a failure unless it says otherwise, because failure is 0 on the wire.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusResult {
    #[prost(string, tag = "1")]
    pub(super) text: String,
    #[prost(message, optional, tag = "2")]
    pub(super) exception: Option<RpcException>,
    #[prost(int32, tag = "4")]
    pub(super) status: i32,
}

/// The value of [`StatusResult::status`] for success.
pub(super) const SUCCESS: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcException {
    #[prost(string, tag = "1")]
    pub(super) stack_trace: String,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FunctionsMetadataRequest {
    #[prost(string, tag = "1")]
    pub(super) function_app_directory: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FunctionMetadataResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) functions: Vec<RpcFunctionMetadata>,
    #[prost(message, optional, tag = "2")]
    pub(super) result: Option<StatusResult>,
    #[prost(bool, tag = "3")]
    pub(super) use_default_metadata_indexing: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcFunctionMetadata {
    #[prost(string, tag = "1")]
    pub(super) directory: String,
    #[prost(string, tag = "2")]
    pub(super) script_file: String,
    #[prost(string, tag = "3")]
    pub(super) entry_point: String,
    #[prost(string, tag = "4")]
    pub(super) name: String,
    #[prost(map = "string, message", tag = "6")]
    pub(super) bindings: HashMap<String, BindingInfo>,
    #[prost(message, optional, tag = "8")]
    pub(super) status: Option<StatusResult>,
    #[prost(string, tag = "9")]
    pub(super) language: String,
    #[prost(string, repeated, tag = "10")]
    pub(super) raw_bindings: Vec<String>,
    #[prost(string, tag = "13")]
    pub(super) function_id: String,
    #[prost(map = "string, string", tag = "16")]
    pub(super) properties: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct BindingInfo {
    #[prost(string, tag = "2")]
    pub(super) kind: String,
    #[prost(int32, tag = "3")]
    pub(super) direction: i32,
    #[prost(int32, tag = "4")]
    pub(super) data_type: i32,
    #[prost(map = "string, string", tag = "5")]
    pub(super) properties: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FunctionLoadRequest {
    #[prost(string, tag = "1")]
    pub(super) function_id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<RpcFunctionMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FunctionLoadResponse {
    #[prost(string, tag = "1")]
    pub(super) function_id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) result: Option<StatusResult>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct InvocationRequest {
    #[prost(string, tag = "1")]
    pub(super) invocation_id: String,
    #[prost(string, tag = "2")]
    pub(super) function_id: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) input_data: Vec<ParameterBinding>,
    #[prost(map = "string, message", tag = "4")]
    pub(super) trigger_metadata: HashMap<String, TypedData>,
    #[prost(message, optional, tag = "5")]
    pub(super) trace_context: Option<RpcTraceContext>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ParameterBinding {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) data: Option<TypedData>,
}

/// A value. Nothing set means null.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TypedData {
    #[prost(oneof = "Data", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    pub(super) data: Option<Data>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Data {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(string, tag = "2")]
    Json(String),
    #[prost(bytes = "bytes", tag = "3")]
    Bytes(Bytes),
    #[prost(bytes = "bytes", tag = "4")]
    Stream(Bytes),
    #[prost(message, boxed, tag = "5")]
    Http(Box<RpcHttp>),
    #[prost(sint64, tag = "6")]
    Int(i64),
    #[prost(double, tag = "7")]
    Double(f64),
    #[prost(message, tag = "8")]
    ListOfBytes(ListOfBytes),
    #[prost(message, tag = "9")]
    ListOfStrings(ListOfStrings),
    #[prost(message, tag = "10")]
    ListOfDoubles(ListOfDoubles),
    #[prost(message, tag = "11")]
    ListOfInts(ListOfInts),
}

/// `CollectionBytes`
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListOfBytes {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) items: Vec<Bytes>,
}

/// `CollectionString`
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListOfStrings {
    #[prost(string, repeated, tag = "1")]
    pub(super) items: Vec<String>,
}

/// `CollectionDouble`
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListOfDoubles {
    #[prost(double, repeated, tag = "1")]
    pub(super) items: Vec<f64>,
}

/// `CollectionSInt64`
#[derive(Clone, PartialEq, Message)]
pub(super) struct ListOfInts {
    #[prost(sint64, repeated, tag = "1")]
    pub(super) items: Vec<i64>,
}

/// A request of an HTTP trigger, or its response.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcHttp {
    #[prost(string, tag = "1")]
    pub(super) method: String,
    #[prost(string, tag = "2")]
    pub(super) url: String,
    #[prost(map = "string, string", tag = "3")]
    pub(super) headers: HashMap<String, String>,
    #[prost(message, optional, boxed, tag = "4")]
    pub(super) body: Option<Box<TypedData>>,
    #[prost(map = "string, string", tag = "10")]
    pub(super) params: HashMap<String, String>,
    #[prost(string, tag = "12")]
    pub(super) status_code: String,
    #[prost(map = "string, string", tag = "15")]
    pub(super) query: HashMap<String, String>,
    #[prost(message, repeated, tag = "19")]
    pub(super) cookies: Vec<RpcHttpCookie>,
}

/// A cookie that a function sets.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcHttpCookie {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
    #[prost(message, optional, tag = "3")]
    pub(super) domain: Option<NullableString>,
    #[prost(message, optional, tag = "4")]
    pub(super) path: Option<NullableString>,
    #[prost(message, optional, tag = "5")]
    pub(super) expires: Option<NullableTimestamp>,
    #[prost(message, optional, tag = "6")]
    pub(super) secure: Option<NullableBool>,
    #[prost(message, optional, tag = "7")]
    pub(super) http_only: Option<NullableBool>,
    /// Unset 0, Lax 1, Strict 2, None 3.
    #[prost(int32, tag = "8")]
    pub(super) same_site: i32,
    #[prost(message, optional, tag = "9")]
    pub(super) max_age: Option<NullableDouble>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NullableString {
    #[prost(string, optional, tag = "1")]
    pub(super) value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NullableBool {
    #[prost(bool, optional, tag = "1")]
    pub(super) value: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NullableDouble {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NullableTimestamp {
    #[prost(message, optional, tag = "1")]
    pub(super) value: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
}

impl Data {
    /// Whether the value is printed as JSON.
    pub(super) const fn is_json(&self) -> bool {
        matches!(
            self,
            Self::Json(_)
                | Self::ListOfBytes(_)
                | Self::ListOfStrings(_)
                | Self::ListOfDoubles(_)
                | Self::ListOfInts(_)
        )
    }
}

impl From<Data> for TypedData {
    fn from(data: Data) -> Self {
        Self { data: Some(data) }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcTraceContext {
    #[prost(string, tag = "1")]
    pub(super) trace_parent: String,
    #[prost(string, tag = "2")]
    pub(super) trace_state: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct InvocationResponse {
    #[prost(string, tag = "1")]
    pub(super) invocation_id: String,
    #[prost(message, optional, tag = "3")]
    pub(super) result: Option<StatusResult>,
    #[prost(message, optional, tag = "4")]
    pub(super) return_value: Option<TypedData>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct InvocationCancel {
    #[prost(string, tag = "2")]
    pub(super) invocation_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcLog {
    #[prost(string, tag = "1")]
    pub(super) invocation_id: String,
    #[prost(string, tag = "2")]
    pub(super) category: String,
    #[prost(int32, tag = "3")]
    pub(super) level: i32,
    #[prost(string, tag = "4")]
    pub(super) message: String,
    #[prost(message, optional, tag = "6")]
    pub(super) exception: Option<RpcException>,
    #[prost(int32, tag = "8")]
    pub(super) log_category: i32,
    #[prost(map = "string, message", tag = "9")]
    pub(super) properties: HashMap<String, TypedData>,
}

impl StatusResult {
    /// The text for people: the message and the stack trace of the exception.
    pub(super) fn describe(&self) -> String {
        match &self.exception {
            Some(RpcException { message, stack_trace }) if stack_trace.contains(message.trim()) => stack_trace.clone(),
            Some(RpcException { message, stack_trace }) => format!("{message}\n{stack_trace}"),
            None => self.text.clone(),
        }
        .trim()
        .to_owned()
    }
}
