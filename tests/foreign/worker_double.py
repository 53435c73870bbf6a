"""A worker of a function platform that behaves as DOUBLE says: a peer for tests of the host.

It borrows the framing of the fallback worker (WORKERS is its folder), and writes each message itself. Started by a
worker.config.json, as official workers are.
"""

import os
import sys
import threading
import time
import uuid

sys.path.insert(0, os.environ["WORKERS"])
import worker

behaviour = os.environ["DOUBLE"]
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))


def start(stream, identity):
    stream.send({"request_id": given["--requestId"], "start_stream": {"worker_id": identity}})


def function(name, raw):
    binding = {"type": "mcpToolTrigger", "direction": 0}
    return {"name": name, "function_id": str(uuid.uuid4()), "bindings": {"context": binding}, "raw_bindings": raw}


def raw(tool, extra=""):
    return f'{{"name":"context","type":"mcpToolTrigger","direction":"In","toolName":"{tool}"{extra}}}'


FUNCTIONS = {
    "plain": [function("Echo", [raw("echo")])],
    "duplicate": [function("One", [raw("echo")]), function("Two", [raw("Echo")])],
    "mixed": [
        function("Echo", [raw("echo")]),
        function("Queue", ['{"name":"m","type":"queueTrigger","direction":"in","queueName":"q"}']),
        function("Store", [raw("store"), '{"name":"o","type":"blob","direction":"out","path":"x"}']),
    ],
    "schema": [function("Echo", [raw("echo", ',"toolProperties":"[{\\"propertyName\\":\\"a\\",\\"propertyType\\":\\"blob\\"}]"')])],
    "nothing": [],
}


def main():
    if behaviour == "exits":
        print("no licence for this worker", file=sys.stderr)
        sys.exit(3)
    stream = worker.Stream(given["--host"], int(given["--port"]))
    if behaviour == "stranger":
        start(stream, str(uuid.uuid4()))
    elif behaviour == "garbage":
        stream.waiting.put(b"\0\0\0\0\4\xff\xff\xff\xff")
    elif behaviour == "huge":
        stream.waiting.put(b"\0\xff\xff\xff\xff")
    else:
        start(stream, given["--workerId"])
    for message in stream.messages():
        answer(stream, message)


def answer(stream, message):
    request_id, success = message.get("request_id", ""), {"status": worker.SUCCESS}
    if "worker_init_request" in message:
        response = {"capabilities": {"HandlesWorkerTerminateMessage": "True", "TypedDataCollection": "True"}, "result": success}
        stream.send({"request_id": request_id, "worker_init_response": response})
    elif "functions_metadata_request" in message:
        functions = FUNCTIONS.get(behaviour, FUNCTIONS["plain"])
        response = {"function_metadata_results": functions, "result": success}
        stream.send({"request_id": request_id, "function_metadata_response": response})
    elif "function_load_request" in message:
        response = {"function_id": message["function_load_request"]["function_id"], "result": success}
        stream.send({"request_id": request_id, "function_load_response": response})
        if behaviour == "rival":
            # Another process that has read the id in the command line.
            threading.Timer(0.5, lambda: start(worker.Stream(given["--host"], int(given["--port"])), given["--workerId"])).start()
    elif "invocation_request" in message:
        request = message["invocation_request"]
        # The .NET package reads the context from the metadata of the trigger, and no other place.
        context = request["trigger_metadata"]["context"]["string"]
        response = {"invocation_id": request["invocation_id"], "return_value": {"string": context}, "result": success}
        stream.send({"request_id": request_id, "invocation_response": response})
    elif "worker_terminate" in message or "invocation_cancel" in message:
        stream.send({"request_id": request_id})
        if "worker_terminate" in message:
            time.sleep(0.1)
            os._exit(0)


main()
