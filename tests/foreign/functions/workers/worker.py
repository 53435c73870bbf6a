"""An independent worker on grpcio and the protobuf library. STYLE=dotnet makes it behave as the isolated worker of .NET.

It serves these tools: echo (the context), size (the length of an argument), big (a text), list (numbers), whole
(progress and a log message), patient (until it is cancelled), fail; and the resource file://bytes.
"""

import json
import os
import queue
import sys
import threading
import uuid

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
messages, services = grpc.protos_and_services("function_rpc.proto")

DOTNET = os.environ.get("STYLE") == "dotnet"
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
outgoing = queue.Queue()
SUCCESS = messages.StatusResult(status="Success")
ids = {}
cancelled = {}


def send(request_id, **content):
    outgoing.put(messages.StreamingMessage(request_id=request_id, **content))


def raw(kind, name, **keys):
    direction = "In" if DOTNET else "in"
    return json.dumps({"name": name, "type": kind, "direction": direction, **keys})


def argument(name, kind):
    return {"propertyName": name, "propertyType": kind, "description": "", "isRequired": True, "isArray": False, "enumValues": []}


def tool(name, *properties):
    companions = []
    if DOTNET:
        # The package of .NET lists each parameter as a binding, too.
        companions = [raw("mcpToolProperty", p["propertyName"], dataType="String", **p) for p in properties]
    return [raw("mcpToolTrigger", "context", toolName=name, description=name, toolProperties=json.dumps(list(properties)))] + companions


FUNCTIONS = {
    "Echo": tool("echo", argument("message", "string")),
    "Size": tool("size", argument("message", "string")),
    "Big": tool("big", argument("bytes", "integer")),
    "List": tool("list"),
    "Whole": tool("whole"),
    "Patient": tool("patient"),
    "Fail": tool("fail"),
    "Bytes": [raw("mcpResourceTrigger", "context", uri="file://bytes", resourceName="bytes", mimeType="a/b")],
}


def describe(name):
    bindings = [json.loads(binding) for binding in FUNCTIONS[name]]
    # .NET makes new ids whenever it is asked.
    ids[name] = str(uuid.uuid4()) if DOTNET else name
    return messages.RpcFunctionMetadata(
        name=name, function_id=ids[name], raw_bindings=FUNCTIONS[name], language="dotnet-isolated" if DOTNET else "python",
        entry_point=f"App.Tools.{name}", script_file="App.dll",
        bindings={binding["name"]: messages.BindingInfo(type=binding["type"]) for binding in bindings})


def run(request):
    name = next(name for name, known in ids.items() if known == request.function_id)
    if DOTNET:
        # The package of .NET reads the context there and nowhere else.
        context = request.trigger_metadata["context"].string
        inputs = {item.name: item.data.string for item in request.input_data}
    else:
        context, inputs = request.input_data[0].data.string, {}
    arguments = json.loads(context).get("arguments", {})
    if name == "Echo":
        return {"string": inputs["message"] if DOTNET else context}
    if name == "Size":
        return {"int": len(arguments["message"])}
    if name == "Big":
        return {"string": "x" * arguments["bytes"]}
    if name == "List":
        return {"collection_sint64": messages.CollectionSInt64(sint64=[1, -2])}
    if name == "Whole":
        numbers = {"progress": messages.TypedData(double=1), "total": messages.TypedData(double=2)}
        log = messages.RpcLog(invocation_id=request.invocation_id, category="Whole", level="Information", message="half", properties_map=numbers)
        send("", rpc_log=log)
        return {"double": 1.5}
    if name == "Patient":
        cancelled.setdefault(request.invocation_id, threading.Event()).wait(30)
        print("patience was cancelled", flush=True)
        return {"string": "cancelled"}
    if name == "Bytes":
        return {"bytes": bytes(range(256)) * 12_000}
    raise ValueError("kaput")


def invoke(request_id, request):
    response = messages.InvocationResponse(invocation_id=request.invocation_id, result=SUCCESS)
    try:
        response.return_value.CopyFrom(messages.TypedData(**run(request)))
    except Exception as error:
        exception = messages.RpcException(message=str(error), type=type(error).__name__, is_user_exception=True)
        response.result.CopyFrom(messages.StatusResult(status="Failure", exception=exception))
    send(request_id, invocation_response=response)


def answer(message):
    kind, request_id = message.WhichOneof("content"), message.request_id
    if kind == "worker_init_request":
        assert message.worker_init_request.host_version, "the version of the host must not be empty"
        if DOTNET:
            assert os.environ["FUNCTIONS_WORKER_DIRECTORY"] and os.environ["FUNCTIONS_APPLICATION_DIRECTORY"]
        known = ["TypedDataCollection", "WorkerStatus", "HandlesWorkerTerminateMessage", "HandlesInvocationCancelMessage"]
        capabilities = dict.fromkeys(known, "True" if DOTNET else "true")
        send(request_id, worker_init_response=messages.WorkerInitResponse(capabilities=capabilities, result=SUCCESS))
    elif kind == "functions_metadata_request":
        functions = [describe(name) for name in FUNCTIONS]
        send(request_id, function_metadata_response=messages.FunctionMetadataResponse(function_metadata_results=functions, result=SUCCESS))
    elif kind == "function_load_request":
        request = message.function_load_request
        # Another process of the app learns the ids only here.
        ids[request.metadata.name] = request.function_id
        is_whole = request.metadata.entry_point and request.metadata.bindings["context"].type.endswith("Trigger")
        result = SUCCESS if is_whole else messages.StatusResult(status="Failure")
        send(request_id, function_load_response=messages.FunctionLoadResponse(function_id=request.function_id, result=result))
    elif kind == "invocation_request":
        threading.Thread(target=invoke, args=(request_id, message.invocation_request), daemon=True).start()
    elif kind == "invocation_cancel":
        cancelled.setdefault(message.invocation_cancel.invocation_id, threading.Event()).set()
        if DOTNET:
            send(request_id)
    elif kind == "worker_status_request":
        send(request_id, worker_status_response=messages.WorkerStatusResponse())
    elif kind == "worker_terminate":
        print("asked to end", flush=True)
        send(request_id)
        outgoing.put(None)


def main():
    if DOTNET:
        target, worker_id, request_id = (given[name] for name in ("--functions-uri", "--functions-worker-id", "--functions-request-id"))
        target = target.removeprefix("http://").rstrip("/")
    else:
        target, worker_id, request_id = f"{given['--host']}:{given['--port']}", given["--workerId"], given["--requestId"]
    limit = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(target, limit) as channel:
        stub = services.FunctionRpcStub(channel)
        send(request_id, start_stream=messages.StartStream(worker_id=worker_id))
        for message in stub.EventStream(iter(outgoing.get, None)):
            answer(message)


main()
