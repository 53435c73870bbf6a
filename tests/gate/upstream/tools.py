"""The tools of the server. Each takes the session, its arguments, the whole request and the reply."""

import os
import signal
import subprocess
import sys
import time

import lies

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
META = "io.modelcontextprotocol/"
# Members and numbers that a parser of JSON would lose or write in another way.
RAW = '{"content":[{"type":"text","text":"raw"}],"structuredContent":{"n":1E2,"big":12345678901234567890},"x":[1.50]}'


def text(words, **members):
    return {"content": [{"type": "text", "text": words}], **members}


def call(session, message, reply):
    from server import Error

    params = message["params"]
    name = params.get("name")
    session.server.journal.write("call", name)
    tool = TOOLS.get(name)
    if tool is None:
        raise Error(-32602, f"Unknown tool: {name}")
    return tool(session, params.get("arguments") or {}, message, reply)


def echo(session, arguments, message, reply):
    return text(arguments.get("text", "echo"))


def raw(session, arguments, message, reply):
    return '{"resultType":"complete",' + RAW[1:] if session.server.is_modern else RAW


def fails(session, arguments, message, reply):
    return text("no luck", isError=True)


def steps(session, arguments, message, reply):
    """Two steps of progress and two log messages, one of which is below the level `info`."""
    from server import note

    meta = message["params"].get("_meta") or {}
    token = meta.get("progressToken")
    level = meta.get(META + "logLevel") if session.server.is_modern else session.level

    def progress(params):
        if token is not None:
            reply.send(note("notifications/progress", {"progressToken": token, **params}))

    def log(own, data):
        if level in LEVELS and LEVELS.index(own) >= LEVELS.index(level):
            reply.send(note("notifications/message", {"level": own, "data": data}))

    words = {"message": "half"} if session.server.since("2025-03-26") else {}
    progress({"progress": 1, "total": 2, **words})
    log("warning", "halfway")
    log("debug", "details")
    progress({"progress": 2, "total": 2})
    return text("done")


def asks(method, has, params, read):
    """Makes a tool that asks one question, by the means of its revision."""

    def tool(session, arguments, message, reply):
        from server import Error

        asked = dict(params)
        if method == "elicitation/create" and not session.server.since("2025-11-25"):
            asked.pop("mode", None)
        if not session.server.is_modern:
            if not session.server.since(has["since"]) or not declared(session.capabilities, has["capability"]):
                return text("this client cannot be asked", isError=True)
            if asked.get("mode") == "url":
                asked["elicitationId"] = "e1"
            return text(read(session.ask(method, asked, reply)))
        answers = message["params"].get("inputResponses")
        if answers is not None:
            if message["params"].get("requestState") != "state":
                raise Error(-32602, "the state is not the one of the question")
            return text(read(answers["k"]))
        declares = message["params"]["_meta"].get(META + "clientCapabilities") or {}
        if not declared(declares, has["capability"]):
            raise Error(-32021, "This client cannot be asked", {"requiredCapabilities": {has["capability"][0]: {}}})
        return {
            "resultType": "input_required", "requestState": "state",
            "inputRequests": {"k": {"method": method, "params": asked}},
        }

    return tool


def declared(capabilities, path):
    """Whether the client can be asked. An empty `elicitation` means forms."""
    own = capabilities.get(path[0])
    if own is None or len(path) == 1:
        return own is not None
    return path[1] in own or (path[1] == "form" and not own)


def waits(session, arguments, message, reply):
    """Runs until the client gives the call up."""
    from server import Cancelled

    session.server.journal.write("waits")
    cancelled = session.running[message["id"]]
    while not cancelled.wait(0.02):
        if reply.is_gone() and session.server.is_modern:
            break
    raise Cancelled


def change(session, arguments, message, reply):
    """Changes the list of tools or the resource note://a. All processes of the server see it, as if it were in a file."""
    journal = session.server.journal
    journal.change(arguments.get("text") or "list")
    return text("late" if journal.has_late() else "no late")


def seen(session, arguments, message, reply):
    from server import dump

    return text(dump(message["params"].get("_meta") or {}))


def die(session, arguments, message, reply):
    """Ends the process in one of several ways."""
    how = arguments.get("text")
    print("out of paper", file=sys.stderr, flush=True)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "grandchild":
        session.server.journal.write("grandchild", subprocess.Popen(["sleep", "600"]).pid)
    if how == "output":
        os.close(1)
        time.sleep(600)
    os._exit(7)


def sleep(session, arguments, message, reply):
    time.sleep(float(arguments.get("text", "1")))
    return text("slept")


def environment(session, arguments, message, reply):
    return text(os.environ.get(arguments.get("text", ""), "unset"))


def noise(session, arguments, message, reply):
    for _ in range(500):
        sys.stderr.write("noise " * 2000 + "\n")
    return text("quiet")


def grow(session, arguments, message, reply):
    held = bytearray(200 << 20)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(600)
    return text(str(len(held)))


def spawn(session, arguments, message, reply):
    for _ in range(int(arguments.get("text", "1"))):
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        session.server.journal.write("grandchild", child.pid)
    return text("spawned")


def who(session, arguments, message, reply):
    return text(session.server.name)


NAME = {"type": "object", "properties": {"name": {"type": "string"}}}
SAMPLE = {"maxTokens": 10, "messages": [{"role": "user", "content": {"type": "text", "text": "Say something"}}]}
TOOLS = {
    "echo": echo, "raw": raw, "fails": fails, "steps": steps, "waits": waits, "change": change, "seen": seen, "die": die,
    "sleep": sleep, "environment": environment, "noise": noise, "grow": grow, "spawn": spawn, "who": who, "lie": lies.call,
    "late": echo,
    "form": asks(
        "elicitation/create", {"since": "2025-06-18", "capability": ("elicitation", "form")},
        {"mode": "form", "message": "Who are you?", "requestedSchema": NAME},
        lambda answer: f"{answer['action']} {(answer.get('content') or {}).get('name')}",
    ),
    "page": asks(
        "elicitation/create", {"since": "2025-11-25", "capability": ("elicitation", "url")},
        {"mode": "url", "message": "Sign in", "url": "https://a.example/in"}, lambda answer: answer["action"],
    ),
    "samples": asks(
        "sampling/createMessage", {"since": "2024-11-05", "capability": ("sampling",)}, SAMPLE,
        lambda answer: answer["content"]["text"],
    ),
    "roots": asks(
        "roots/list", {"since": "2024-11-05", "capability": ("roots",)}, {}, lambda answer: answer["roots"][0]["uri"],
    ),
}
