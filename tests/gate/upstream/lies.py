"""Lies of the server in the answer to a call.

`CALLS` has a row for each lie that an answer to a call can be. The row says over which transports and in which eras the lie
exists, and what has to come of it: a result, an error, or either of them. The call must end in any case.
"""

import itertools
import os
import queue
import time
from collections import namedtuple

Lie = namedtuple("Lie", "tell overs eras outcome")
CALLS = {}
ALL, EVENTS = ("stdio", "http", "sse"), ("http", "sse")
BOTH, MODERN, LEGACY = ("modern", "legacy"), ("modern",), ("legacy",)
TRUTH = '{"resultType":"complete","content":[{"type":"text","text":"truth"}]}'
BLOCK = b"x" * 65536


class Told:
    """One call that is answered with a lie."""

    def __init__(self, session, message, reply):
        self.session, self.reply, self.over = session, reply, session.server.over
        from server import dump

        self.id = dump(message["id"])
        self.is_retry = "requestState" in message["params"]

    def good(self, result=TRUTH, id=None):
        return '{"jsonrpc":"2.0","id":%s,"result":%s}' % (self.id if id is None else id, result)

    def expecting(self, ids):
        """The client may answer these requests, and it need not."""
        self.session.answers.update((id, queue.Queue()) for id in ids)

    def say(self, *texts):
        """Sends messages. One message over HTTP is a body of JSON, several are events."""
        if self.over == "http" and len(texts) == 1:
            self.reply.raw([texts[0].encode()])
        else:
            self.events(*texts)

    def events(self, *texts):
        if self.over == "stdio":
            pieces = ("".join(f"{text}\n" for text in texts)).encode()
        else:
            pieces = ("".join(f"data: {text}\n\n" for text in texts)).encode()
        self.reply.raw([pieces], "text/event-stream")

    def stream(self, text):
        """Sends the raw text of a stream of events."""
        self.reply.raw([text.encode() if isinstance(text, str) else text], "text/event-stream")

    def http(self, status, headers="", body=""):
        handler = self.reply.handler
        handler.close_connection = True
        handler.wfile.write(f"HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n{body}".encode())
        handler.wfile.flush()


def lie(name, overs=ALL, outcome="error", eras=BOTH):
    def register(tell):
        CALLS[name] = Lie(tell, overs, eras, outcome)
        return tell

    return register


def says(name, make, overs=ALL, outcome="error", eras=BOTH):
    """A lie that is one or more messages."""
    def tell(told):
        made = make(told)
        told.say(*([made] if isinstance(made, str) else made))

    lie(name, overs, outcome, eras)(tell)


def streams(name, make, outcome="result", overs=EVENTS):
    """A lie in the framing of a stream of events."""
    lie(name, overs, outcome)(lambda told: told.stream(make(told)))


def answers(name, status, headers="", body="", outcome="error"):
    """A lie that is an answer of HTTP."""
    lie(name, ("http",), outcome)(lambda told: told.http(status, headers, body))


def notice(method, params="{}"):
    return '{"jsonrpc":"2.0","method":"%s","params":%s}' % (method, params)


def result(name, text, outcome="error", eras=BOTH):
    says(name, lambda told: told.good(text), outcome=outcome, eras=eras)


# No message, or no answer to this request.
says("garbage", lambda told: "Traceback: {garbage")
says("half a message", lambda told: told.good()[:40])
lie("binary")(lambda told: told.reply.raw([b"\0\1\xff\xfe\n\n"]))
says("wrong id", lambda told: told.good(id='"another"'))
says("id of null", lambda told: told.good(id="null"))
says("id as a text", lambda told: told.good(id=f'"{told.id}"'), outcome="either")
says("answers without a request", lambda told: [told.good(id=n) for n in range(4711, 4811)] + [told.good()], outcome="result")
says("answer twice", lambda told: [told.good()] * 2, outcome="result")
says("array of the answer", lambda told: f"[{told.good()}]", outcome="either")
says("empty array before the answer", lambda told: ["[]", told.good()], outcome="result")
says("number before the answer", lambda told: ["7", told.good()], outcome="result")
says("version 1.0", lambda told: told.good().replace('"2.0"', '"1.0"'), outcome="either")

# An answer that is not well formed.
says("neither result nor error", lambda told: '{"jsonrpc":"2.0","id":%s}' % told.id)
says("both result and error", lambda told: told.good()[:-1] + ',"error":{"code":1,"message":"no"}}', outcome="either")
says("error without a code", lambda told: '{"jsonrpc":"2.0","id":%s,"error":{"message":"no"}}' % told.id)
says("error that is a text", lambda told: '{"jsonrpc":"2.0","id":%s,"error":"no"}' % told.id)
says("error of a megabyte", lambda told: '{"jsonrpc":"2.0","id":%s,"error":{"code":1,"message":"%s"}}' % (told.id, "no" * 500_000))
result("result that is an array", "[1]")
result("result that is a text", '"truth"')
result("result that is null", "null")
result("content that is a text", '{"resultType":"complete","content":"truth"}', "either")
result("nested 100,000 deep", '{"resultType":"complete","content":[],"x":%s1%s}' % ("[" * 100_000, "]" * 100_000), "either")
result("half of a surrogate pair", TRUTH.replace("truth", "\\ud800"), "either")
result("member twice", TRUTH[:-1] + ',"content":[]}', "either")
result("unknown kind of result", '{"resultType":"surprise","content":[]}', eras=MODERN)
result("question that does not exist", '{"resultType":"input_required","inputRequests":{"k":{"method":"shutdown"}}}', eras=MODERN)
result("question without a question", '{"resultType":"input_required"}', eras=MODERN)
result("questions for ever", '{"resultType":"input_required","requestState":"s"}', eras=MODERN)

# Too much.
FLOOD = 5_000
says("flood of log messages", lambda told: [notice("notifications/message", '{"level":"info","data":1}')] * FLOOD + [told.good()],
     outcome="result")
says("flood of changes", lambda told: [notice("notifications/tools/list_changed")] * FLOOD + [told.good()], outcome="result")
says("flood of progress for invented tokens",
     lambda told: [notice("notifications/progress", '{"progressToken":%d,"progress":1}' % (9000 + n)) for n in range(FLOOD)]
     + [told.good()], outcome="result")
says("flood of unknown notices", lambda told: [notice("notifications/surprise")] * FLOOD + [told.good()], outcome="result")


@lie("flood of pings", outcome="result", eras=LEGACY)
def pings(told):
    ids = [f"p{n}" for n in range(500)]
    told.expecting(ids)
    told.say(*('{"jsonrpc":"2.0","id":"%s","method":"ping"}' % id for id in ids), told.good())


@lie("request that does not exist", outcome="result", eras=LEGACY)
def unknown(told):
    told.expecting(["x"])
    told.say('{"jsonrpc":"2.0","id":"x","method":"no/such"}', told.good())


says("progress after the answer",
     lambda told: [told.good(), notice("notifications/progress", '{"progressToken":%s,"progress":9}' % told.id)], outcome="result")


@lie("200 MB")
def huge(told):
    start, end = told.good('{"content":[],"x":"').removesuffix("}").encode(), b'"}}\n\n'
    start = b"data: " + start if told.over == "sse" else start
    told.reply.raw(itertools.chain([start], itertools.repeat(BLOCK, 200_000_000 // len(BLOCK)), [end]))


@lie("endless line")
def endless(told):
    end = [b"\n\n"] if told.over != "http" else []
    told.reply.raw(itertools.chain([b"data: "], itertools.repeat(BLOCK, 1000), end), "text/event-stream")


# Lines of a pipe.
def line(name, make, outcome="result"):
    lie(name, ("stdio",), outcome)(lambda told: told.reply.raw([make(told)]))


line("banner before the answer", lambda told: b"Server 1.0 ready\n" + told.good().encode() + b"\n")
line("carriage returns", lambda told: told.good().encode() + b"\r\n")
line("byte order mark", lambda told: b"\xef\xbb\xbf" + told.good().encode() + b"\n")
line("empty lines", lambda told: b"\n\n  \n" + told.good().encode() + b"\n\n")
line("zero bytes before the answer", lambda told: b"\0" * 1000 + b"\n" + told.good().encode() + b"\n")


@lie("answer in pieces", ("stdio",), "result")
def pieces(told):
    text = told.good(TRUTH.replace("truth", "tr\u00fcth")).encode() + b"\n"
    for piece in (text[n:n + 7] for n in range(0, len(text), 7)):
        told.reply.raw([piece])
        time.sleep(0.001)


@lie("half a line and the end of the process", ("stdio",))
def dies(told):
    told.reply.raw([told.good()[:30].encode()])
    os._exit(9)


# Streams of events.
streams("events without data", lambda told: f"event: message\n\ndata:\n\nid: 7\n\ndata: {told.good()}\n\n")
streams("events of another type", lambda told: f"event: ping\ndata: {{}}\n\ndata: {told.good()}\n\n")
streams("heartbeats that are no messages", lambda told: f'data: {{"heartbeat":1}}\n\ndata: {told.good()}\n\n')
streams("lines that end with CRLF", lambda told: f"event: message\r\ndata: {told.good()}\r\n\r\n")
streams("flood of comments", lambda told: ": keep alive\n\n" * 20_000 + f"data: {told.good()}\n\n")
streams("answer in two lines of data", lambda told: "data: " + told.good().replace(",", ",\ndata: ", 1) + "\n\n")
streams("fields that do not exist", lambda told: f"surprise: 1\nretry: soon\ndata: {told.good()}\n\n")
streams("byte order mark of a stream", lambda told: b"\xef\xbb\xbfdata: " + told.good().encode() + b"\n\n", overs=("http",))
streams("stream that breaks off in an event", lambda told: f"data: {told.good()[:40]}", "error", ("http",))
streams("stream without an answer", lambda told: ": nothing\n\n", "error", ("http",))

# HTTP.
answers("page of HTML", "200 OK", "content-type: text/html\r\n", "<html>")
answers("empty body", "200 OK", "content-type: application/json\r\ncontent-length: 0\r\n")
answers("202 for a request", "202 Accepted", "content-length: 0\r\n")
answers("204 for a request", "204 No Content")
for status in ("400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "429 Too Many Requests",
               "500 Internal Server Error", "503 Service Unavailable"):
    answers(f"status {status[:3]}", status, "content-length: 2\r\n", "no")
answers("redirect to another origin", "307 Temporary Redirect", "location: http://192.0.2.1/mcp\r\ncontent-length: 0\r\n")


@lie("redirect to itself", ("http",), "either")
def circle(told):
    told.session.ids.clear()  # the same request comes again
    told.http("307 Temporary Redirect", "location: /mcp\r\ncontent-length: 0\r\n")


answers("body shorter than its length", "200 OK", "content-type: application/json\r\ncontent-length: 1000\r\n", '{"jsonrpc"')
answers("head that is none", "200 OK", "no colon here\r\n", outcome="error")
answers("head of a megabyte", "200 OK", "x: y\r\n" * 200_000)
answers("coding that is not there", "200 OK", "content-type: application/json\r\ncontent-encoding: gzip\r\n", "{}")


@lie("media type with a charset", ("http",), "result")
def charset(told):
    told.reply.raw([told.good().encode()], "Application/JSON; charset=utf-8")


@lie("JSON as plain text", ("http",), "either")
def plain(told):
    told.reply.raw([told.good().encode()], "text/plain")


def call(session, arguments, message, reply):
    """The tool `lie`. Its argument is the name of the lie."""
    told = Told(session, message, reply)
    told_lie = CALLS.get(arguments.get("text"))
    if told_lie is None:
        told.say(told.good())
    else:
        try:
            told_lie.tell(told)
        except OSError:
            pass  # the client has read enough
    return None
