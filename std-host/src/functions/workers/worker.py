"""Runs the functions of a Python app for its host: one FunctionRpc stream over HTTP/2.

The host starts this file when no official worker is found. It needs nothing but the standard library
and the `azure-functions` package of the app (v2 programming model).
"""

import argparse
import asyncio
import concurrent.futures
import contextvars
import email.utils
import functools
import http.cookies
import importlib
import inspect
import logging
import os
import platform
import queue
import socket
import struct
import sys
import threading
import traceback
import typing
import uuid

# Fields of the messages: number, name, kind. Kinds: s string, b bytes, v varint, z zigzag, d double,
# a message by its name, *KIND repeated, m:KIND map from strings.
FIELDS = {
    "StreamingMessage": [
        (1, "request_id", "s"), (2, "rpc_log", "RpcLog"), (4, "invocation_request", "InvocationRequest"),
        (5, "invocation_response", "InvocationResponse"), (8, "function_load_request", "FunctionLoadRequest"),
        (9, "function_load_response", "FunctionLoadResponse"), (12, "worker_status_request", "Empty"),
        (13, "worker_status_response", "Empty"), (14, "worker_terminate", "Empty"),
        (16, "worker_init_response", "WorkerInitResponse"), (17, "worker_init_request", "WorkerInitRequest"),
        (20, "start_stream", "StartStream"), (21, "invocation_cancel", "InvocationCancel"),
        (29, "functions_metadata_request", "FunctionsMetadataRequest"),
        (30, "function_metadata_response", "FunctionMetadataResponse"),
    ],
    "Empty": [],
    "StartStream": [(2, "worker_id", "s")],
    "WorkerInitRequest": [(1, "host_version", "s"), (5, "function_app_directory", "s")],
    "WorkerInitResponse": [(2, "capabilities", "m:s"), (3, "result", "StatusResult"), (4, "worker_metadata", "WorkerMetadata")],
    "WorkerMetadata": [(1, "runtime_name", "s"), (2, "runtime_version", "s"), (3, "worker_version", "s"), (4, "worker_bitness", "s")],
    "StatusResult": [(4, "status", "v"), (1, "result", "s"), (2, "exception", "RpcException")],
    "RpcException": [(3, "source", "s"), (1, "stack_trace", "s"), (2, "message", "s")],
    "FunctionsMetadataRequest": [(1, "function_app_directory", "s")],
    "FunctionMetadataResponse": [(1, "function_metadata_results", "*RpcFunctionMetadata"), (2, "result", "StatusResult")],
    "RpcFunctionMetadata": [
        (4, "name", "s"), (1, "directory", "s"), (2, "script_file", "s"), (3, "entry_point", "s"), (6, "bindings", "m:BindingInfo"),
        (9, "language", "s"), (10, "raw_bindings", "*s"), (13, "function_id", "s"), (16, "properties", "m:s"),
    ],
    "BindingInfo": [(2, "type", "s"), (3, "direction", "v")],
    "FunctionLoadRequest": [(1, "function_id", "s"), (2, "metadata", "RpcFunctionMetadata")],
    "FunctionLoadResponse": [(1, "function_id", "s"), (2, "result", "StatusResult")],
    "InvocationRequest": [
        (1, "invocation_id", "s"), (2, "function_id", "s"), (3, "input_data", "*ParameterBinding"),
        (4, "trigger_metadata", "m:TypedData"), (5, "trace_context", "RpcTraceContext"),
    ],
    "InvocationResponse": [(1, "invocation_id", "s"), (3, "result", "StatusResult"), (4, "return_value", "TypedData")],
    "InvocationCancel": [(2, "invocation_id", "s")],
    "ParameterBinding": [(1, "name", "s"), (2, "data", "TypedData")],
    "TypedData": [
        (1, "string", "s"), (2, "json", "s"), (3, "bytes", "b"), (4, "stream", "b"), (6, "int", "z"), (7, "double", "d"), (5, "http", "RpcHttp"),
    ],
    "RpcHttp": [
        (1, "method", "s"), (2, "url", "s"), (3, "headers", "m:s"), (4, "body", "TypedData"), (10, "params", "m:s"),
        (12, "status_code", "s"), (15, "query", "m:s"), (16, "enable_content_negotiation", "v"), (19, "cookies", "*RpcHttpCookie"),
    ],
    "RpcHttpCookie": [
        (1, "name", "s"), (2, "value", "s"), (3, "domain", "NullableString"), (4, "path", "NullableString"),
        (5, "expires", "NullableTimestamp"), (6, "secure", "NullableBool"), (7, "http_only", "NullableBool"), (8, "same_site", "v"),
        (9, "max_age", "NullableDouble"),
    ],
    "NullableString": [(1, "value", "s")],
    "NullableBool": [(1, "value", "v")],
    "NullableDouble": [(1, "value", "d")],
    "NullableTimestamp": [(1, "value", "Timestamp")],
    "Timestamp": [(1, "seconds", "v")],
    "RpcTraceContext": [(1, "trace_parent", "s"), (2, "trace_state", "s"), (3, "attributes", "m:s")],
    "RpcLog": [
        (1, "invocation_id", "s"), (2, "category", "s"), (3, "level", "v"), (4, "message", "s"), (8, "log_category", "v"),
        (9, "properties_map", "m:TypedData"),
    ],
}
BY_NUMBER = {name: {number: (field, kind) for number, field, kind in fields} for name, fields in FIELDS.items()}
FAILURE, SUCCESS, CANCELLED = 0, 1, 2
LEVELS = [(logging.CRITICAL, 5), (logging.ERROR, 4), (logging.WARNING, 3), (logging.INFO, 2), (logging.DEBUG, 1)]
# Bytes that the host may send before it waits for a window update.
WINDOW = 16 * 1024 * 1024
# Messages that wait to be sent. A function that logs faster than the host reads waits here.
WAITING = 4096


def varint(number):
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def encode_field(number, kind, value):
    if kind.startswith("*"):
        return b"".join(encode_field(number, kind[1:], one) for one in value)
    if kind.startswith("m:"):
        entries = (encode_field(1, "s", key) + encode_field(2, kind[2:], one) for key, one in value.items())
        return b"".join(varint(number << 3 | 2) + varint(len(entry)) + entry for entry in entries)
    if kind == "v":
        return varint(number << 3) + varint(int(value))
    if kind == "z":
        return varint(number << 3) + varint(value << 1 ^ value >> 63)
    if kind == "d":
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if kind == "s":
        # A lone surrogate cannot be sent, and must not lose the whole answer.
        value = value.encode("utf-8", "replace")
    elif kind != "b":
        value = encode(kind, value)
    return varint(number << 3 | 2) + varint(len(value)) + bytes(value)


def encode(name, message):
    fields = ((number, kind, message.get(field)) for number, field, kind in FIELDS[name])
    return b"".join(encode_field(number, kind, value) for number, kind, value in fields if value is not None)


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def decode_value(kind, raw):
    if kind == "z":
        return raw >> 1 ^ -(raw & 1)
    if kind == "v":
        return raw
    if kind == "d":
        return struct.unpack("<d", raw)[0]
    if kind == "s":
        return bytes(raw).decode("utf-8", "replace")
    if kind == "b":
        return bytes(raw)
    return decode(kind, raw)


def decode(name, data):
    message, at, data = {}, 0, memoryview(data)
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            raw, at = read_varint(data, at)
        else:
            length = {1: 8, 5: 4}.get(key & 7)
            if length is None:
                length, at = read_varint(data, at)
            raw, at = data[at:at + length], at + length
        field, kind = BY_NUMBER[name].get(key >> 3, (None, ""))
        if field is None:
            continue
        if kind.startswith("*"):
            message.setdefault(field, []).append(decode_value(kind[1:], raw))
        elif kind.startswith("m:"):
            entry = decode_entry(kind[2:], raw)
            message.setdefault(field, {})[entry[0]] = entry[1]
        else:
            message[field] = decode_value(kind, raw)
    return message


def decode_entry(kind, data):
    key, value, at = "", "" if kind == "s" else {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        length, at = read_varint(data, at)
        raw, at = data[at:at + length], at + length
        if tag >> 3 == 1:
            key = decode_value("s", raw)
        else:
            value = decode_value(kind, raw)
    return key, value


class Stream:
    """The client of one gRPC stream: as much of HTTP/2 as that needs (RFC 9113)."""

    DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=5)
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", buffering=1 << 16)
        self.writing = threading.Lock()
        self.windows = threading.Condition()
        self.connection_window = self.stream_window = self.initial_window = 65535
        self.most = 16384
        self.waiting = queue.Queue(WAITING)
        settings = struct.pack(">HIHIHI", 1, 0, 2, 0, 4, WINDOW)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(self.SETTINGS, 0, 0, settings)
        self.frame(self.WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65535))
        fields = [
            (":method", "POST"), (":scheme", "http"), (":path", "/AzureFunctionsRpcMessages.FunctionRpc/EventStream"),
            (":authority", f"{host}:{port}"), ("content-type", "application/grpc"), ("te", "trailers"),
        ]
        # RFC 7541 §6.2.2: literal fields without indexing, no Huffman code. All are shorter than 127 bytes.
        literal = lambda text: bytes([len(text)]) + text.encode()
        self.frame(self.HEADERS, 4, 1, b"".join(b"\0" + literal(name) + literal(value) for name, value in fields))
        threading.Thread(target=self.write, daemon=True).start()

    def frame(self, kind, flags, stream, payload):
        head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream)
        with self.writing:
            self.socket.sendall(head + payload)

    def send(self, message):
        payload = encode("StreamingMessage", message)
        self.waiting.put(struct.pack(">BI", 0, len(payload)) + payload)

    def write(self):
        while True:
            payload = memoryview(self.waiting.get())
            while payload:
                with self.windows:
                    self.windows.wait_for(lambda: min(self.connection_window, self.stream_window) > 0)
                    length = min(len(payload), self.most, self.connection_window, self.stream_window)
                    self.connection_window -= length
                    self.stream_window -= length
                try:
                    self.frame(self.DATA, 0, 1, bytes(payload[:length]))
                except OSError:
                    return
                payload = payload[length:]

    def messages(self):
        """Yields the messages of the host, until it ends the stream."""
        buffer = bytearray()
        while True:
            head = self.file.read(9)
            if len(head) < 9:
                return
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            payload = self.file.read(length)
            if kind == self.DATA:
                if length:
                    for stream in (0, 1):
                        self.frame(self.WINDOW_UPDATE, 0, stream, struct.pack(">I", length))
                if flags & 8:
                    payload = payload[1:length - payload[0]]
                buffer += payload
                while len(buffer) >= 5 and len(buffer) >= 5 + int.from_bytes(buffer[1:5], "big"):
                    end = 5 + int.from_bytes(buffer[1:5], "big")
                    yield decode("StreamingMessage", bytes(buffer[5:end]))
                    del buffer[:end]
                if flags & 1:
                    return
            elif kind == self.HEADERS and flags & 1 or kind in (self.RST_STREAM, self.GOAWAY):
                return
            else:
                self.control(kind, flags, int.from_bytes(head[5:], "big"), payload)

    def control(self, kind, flags, stream, payload):
        if kind == self.PING and not flags & 1:
            self.frame(self.PING, 1, 0, payload)
        elif kind == self.SETTINGS and not flags & 1:
            with self.windows:
                for at in range(0, len(payload), 6):
                    name, value = struct.unpack(">HI", payload[at:at + 6])
                    if name == 4:
                        self.stream_window += value - self.initial_window
                        self.initial_window = value
                    elif name == 5:
                        self.most = value
                self.windows.notify_all()
            self.frame(self.SETTINGS, 1, 0, b"")
        elif kind == self.WINDOW_UPDATE:
            with self.windows:
                if stream:
                    self.stream_window += int.from_bytes(payload, "big")
                else:
                    self.connection_window += int.from_bytes(payload, "big")
                self.windows.notify_all()


invocation = contextvars.ContextVar("invocation", default=("", ""))


class Logs(logging.Handler):
    """Sends log records to the host, with the call that they belong to."""

    def __init__(self, stream):
        super().__init__()
        self.stream = stream

    def emit(self, record):
        try:
            call, _ = invocation.get()
            level = next((number for least, number in LEVELS if record.levelno >= least), 0)
            log = {"invocation_id": call, "category": record.name, "level": level, "message": self.format(record), "log_category": 0}
            numbers = {name: getattr(record, name, None) for name in ("progress", "total")}
            numbers = {name: {"double": float(value)} for name, value in numbers.items() if isinstance(value, (int, float))}
            self.stream.send({"rpc_log": {**log, "properties_map": numbers}})
        except Exception:
            self.handleError(record)


class Function:
    """A function of the app, as the library describes it."""

    def __init__(self, function, directory):
        import azure.functions
        self.name = function.get_function_name()
        self.run = function.get_user_function()
        self.bindings = {binding.name: binding for binding in function.get_bindings()}
        self.trigger = function.get_trigger()
        self.id = str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))
        # Tools of the decorator `mcp_tool` are wrapped in a coroutine, even if the function itself blocks.
        self.is_async = inspect.iscoroutinefunction(inspect.unwrap(self.run))
        parameters = inspect.signature(self.run).parameters
        try:
            hints = typing.get_type_hints(self.run)
        except Exception:
            hints = {}
        self.contexts = [
            name for name in parameters if name not in self.bindings
            and (hints.get(name) is azure.functions.Context or name == "context")
        ]
        self.returned = hints.get("return")
        self.metadata = {
            "name": self.name, "directory": directory, "script_file": os.path.basename(function.function_script_file or "function_app.py"),
            "entry_point": self.run.__name__, "language": "python", "function_id": self.id,
            "properties": {"worker_indexed": "True"}, "raw_bindings": function.get_raw_bindings(),
            "bindings": {name: {"type": binding.type, "direction": binding.direction} for name, binding in self.bindings.items()},
        }


class Context:
    """The context of a call, in the shape of `azure.functions.Context`."""

    def __init__(self, request, function, directory):
        trace = request.get("trace_context", {})
        self.invocation_id = request["invocation_id"]
        self.function_name = function.name
        self.function_directory = directory
        self.thread_local_storage = threading.local()
        self.thread_local_storage.invocation_id = self.invocation_id
        self.trace_context = type("TraceContext", (), {
            "trace_parent": trace.get("trace_parent", ""), "Traceparent": trace.get("trace_parent", ""),
            "trace_state": trace.get("trace_state", ""), "Tracestate": trace.get("trace_state", ""),
            "attributes": trace.get("attributes", {}), "Attributes": trace.get("attributes", {}),
        })()
        self.retry_context = None


class Worker:
    def __init__(self, stream, loop):
        self.stream, self.loop = stream, loop
        threads = int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT") or 1000)
        self.threads = concurrent.futures.ThreadPoolExecutor(threads)
        self.directory = os.getcwd()
        self.functions = None
        self.tasks = {}

    def receive(self, message):
        content = next((name for name in message if name != "request_id"), None)
        handler = getattr(self, content or "", None)
        if handler:
            handler(message.get("request_id", ""), message[content])

    def worker_init_request(self, request_id, request):
        self.directory = request.get("function_app_directory") or self.directory
        if self.directory not in sys.path:
            sys.path.insert(0, self.directory)
        metadata = {
            "runtime_name": "python", "runtime_version": platform.python_version(), "worker_version": "1.0.0",
            "worker_bitness": platform.architecture()[0],
        }
        capabilities = dict.fromkeys(
            ["RpcHttpBodyOnly", "RpcHttpTriggerMetadataRemoved", "TypedDataCollection", "WorkerStatus",
             "HandlesWorkerTerminateMessage", "HandlesInvocationCancelMessage"], "true")
        response = {"capabilities": capabilities, "result": {"status": SUCCESS}, "worker_metadata": metadata}
        self.stream.send({"request_id": request_id, "worker_init_response": response})

    def index(self):
        """Imports the app, once, and finds its functions."""
        if self.functions is not None:
            return
        file = os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
        module = importlib.import_module(os.path.splitext(file)[0].replace("/", "."))
        import azure.functions
        apps = [value for value in vars(module).values() if isinstance(value, azure.functions.FunctionRegister)]
        apps = list({id(app): app for app in apps}.values())
        if len(apps) != 1:
            raise ValueError(f"{file} must have exactly one FunctionApp at its top level, and has {len(apps)}")
        functions = [Function(function, self.directory) for function in apps[0].get_functions()]
        self.functions = {function.id: function for function in functions}

    def functions_metadata_request(self, request_id, request):
        try:
            self.index()
            functions = [function.metadata for function in self.functions.values()]
            response = {"function_metadata_results": functions, "result": {"status": SUCCESS}}
        except BaseException as error:
            response = {"result": failure(error)}
        self.stream.send({"request_id": request_id, "function_metadata_response": response})

    def function_load_request(self, request_id, request):
        name = request.get("function_id", "")
        try:
            self.index()
            if name not in self.functions:
                raise LookupError(f"the app has no function with the id {name}")
            result = {"status": SUCCESS}
        except BaseException as error:
            result = failure(error)
        self.stream.send({"request_id": request_id, "function_load_response": {"function_id": name, "result": result}})

    def worker_status_request(self, request_id, request):
        self.stream.send({"request_id": request_id, "worker_status_response": {}})

    def worker_terminate(self, request_id, request):
        leave()

    def invocation_cancel(self, request_id, request):
        task = self.tasks.get(request.get("invocation_id"))
        if task:
            task.cancel()

    def invocation_request(self, request_id, request):
        call = request["invocation_id"]
        self.tasks[call] = self.loop.create_task(self.call(request_id, request))
        self.tasks[call].add_done_callback(lambda _: self.tasks.pop(call, None))

    async def call(self, request_id, request):
        response = {"invocation_id": request["invocation_id"]}
        try:
            response.update(return_value=await self.result(request), result={"status": SUCCESS})
        except asyncio.CancelledError:
            response["result"] = {"status": CANCELLED, "exception": {"message": "The call was cancelled"}}
        except BaseException as error:
            response["result"] = failure(error)
        self.stream.send({"request_id": request_id, "invocation_response": response})

    async def result(self, request):
        import azure.functions
        from azure.functions import meta
        function = self.functions[request.get("function_id")]
        invocation.set((request["invocation_id"], function.name))
        datum = lambda data: meta.Datum(*next(((value, kind) for kind, value in data.items()), (None, None)))
        metadata = {name: datum(data) for name, data in request.get("trigger_metadata", {}).items()}
        registry = azure.functions.get_binding_registry()
        arguments = {}
        for item in request.get("input_data", []):
            binding = function.bindings[item["name"]]
            data = item.get("data", {})
            if "http" in data:
                arguments[item["name"]] = http_request(data["http"])
                continue
            converter = registry.get(binding.type)
            value = datum(data)
            arguments[item["name"]] = converter.decode(value, trigger_metadata=metadata) if converter else value.python_value
        arguments.update((name, Context(request, function, self.directory)) for name in function.contexts)
        returned = await self.run(function, arguments)
        if function.trigger.type.lower() == "httptrigger":
            return http_response(returned)
        encoded = registry.get(function.trigger.type).encode(returned, expected_type=function.returned)
        return {} if encoded is None or encoded.type is None else {encoded.type: encoded.value}

    async def run(self, function, arguments):
        if function.is_async:
            return await function.run(**arguments)
        run = functools.partial(function.run, **arguments)
        if inspect.iscoroutinefunction(function.run):
            run = lambda: asyncio.run(function.run(**arguments))
        return await self.loop.run_in_executor(self.threads, functools.partial(contextvars.copy_context().run, run))


def http_request(http):
    import azure.functions
    body = http.get("body", {})
    body = next(iter(body.values()), b"")
    return azure.functions.HttpRequest(
        method=http.get("method", "GET"), url=http.get("url", ""), headers=http.get("headers", {}), params=http.get("query", {}),
        route_params=http.get("params", {}), body=body.encode() if isinstance(body, str) else body)


def http_response(returned):
    if not hasattr(returned, "get_body"):
        text = "" if returned is None else str(returned)
        return {"http": {"status_code": "200", "headers": {"content-type": "text/plain; charset=utf-8"}, "body": {"string": text}}}
    headers = {name.lower(): value for name, value in returned.headers.items() if name.lower() != "set-cookie"}
    cookies = [cookie for field in returned.headers.getlist("Set-Cookie") for cookie in read_cookies(field)]
    if "content-type" not in headers and returned.mimetype:
        headers["content-type"] = f"{returned.mimetype}; charset={returned.charset}"
    body = {"bytes": returned.get_body() or b""}
    return {"http": {"status_code": str(returned.status_code), "headers": headers, "body": body, "cookies": cookies, "enable_content_negotiation": 0}}


SAME_SITE = {"lax": 1, "strict": 2, "none": 3}


def read_cookies(field):
    """The cookies of a field Set-Cookie, of which the headers of a message can have only one."""
    for name, cookie in http.cookies.SimpleCookie(field).items():
        read = {"name": name, "value": cookie.value, "same_site": SAME_SITE.get(cookie["samesite"].lower(), 0)}
        read.update({key: {"value": cookie[key]} for key in ("domain", "path") if cookie[key]})
        switches = {"secure": cookie["secure"], "http_only": cookie["httponly"]}
        read.update({key: {"value": 1} for key, is_on in switches.items() if is_on})
        if cookie["max-age"]:
            read["max_age"] = {"value": float(cookie["max-age"])}
        expires = email.utils.parsedate_tz(cookie["expires"])
        if expires:
            read["expires"] = {"value": {"seconds": max(0, email.utils.mktime_tz(expires))}}
        yield read


def failure(error):
    """The result of what has failed, with a traceback that begins in the app."""
    skipped = (__file__, os.path.dirname(asyncio.__file__), os.path.dirname(concurrent.futures.__file__), os.path.dirname(importlib.__file__))
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.startswith((*skipped, "<frozen importlib")):
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    return {"status": FAILURE, "exception": {"message": f"{type(error).__name__}: {error}", "stack_trace": text, "source": "python"}}


def leave():
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    for name in ("host", "port", "workerId", "requestId"):
        parser.add_argument(f"--{name}", required=True)
    given, _ = parser.parse_known_args()
    # What the app reads of its own arguments must not be the host's.
    sys.argv = sys.argv[:1]
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    loop = asyncio.new_event_loop()
    stream = Stream(given.host, int(given.port))
    logging.getLogger().addHandler(Logs(stream))
    logging.getLogger().setLevel(logging.INFO)
    worker = Worker(stream, loop)
    stream.send({"request_id": given.requestId, "start_stream": {"worker_id": given.workerId}})

    def read():
        try:
            for message in stream.messages():
                loop.call_soon_threadsafe(worker.receive, message)
        except OSError:
            pass
        leave()

    threading.Thread(target=read, daemon=True).start()
    asyncio.set_event_loop(loop)
    loop.run_forever()


if __name__ == "__main__":
    main()
