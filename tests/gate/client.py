"""An MCP client of any revision over Streamable HTTP, written without a library, so that no library hides a fault."""

import http.client
import itertools
import json
import queue
import socket
import threading
import time
import urllib.parse
from collections import namedtuple

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
ASKABLE = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
OF_CALLS = ("notifications/progress", "notifications/message")
Heard = namedtuple("Heard", "message raw exchange")


class Failed(Exception):
    """The gate does not do what a row of the table demands. The text says what it does."""


class Refused(Exception):
    """The answer is an error of JSON-RPC."""

    def __init__(self, error, status):
        self.code, self.message, self.data = error.get("code"), error.get("message"), error.get("data")
        self.status = status
        super().__init__(f"error {self.code}: {str(self.message)[:150]}")


class Exchange(threading.Thread):
    """One HTTP request and what comes back, put into the inbox message by message."""

    def __init__(self, url, method, headers, body, inbox, timeout):
        super().__init__(daemon=True)
        self.url, self.verb, self.headers, self.body, self.inbox, self.timeout = url, method, headers, body, inbox, timeout
        self.socket = self.status = self.kind = self.fault = None
        self.answered = {}
        self.has_head, self.comments = threading.Event(), 0
        self.start()

    def run(self):
        try:
            connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=self.timeout)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = connection.sock
            connection.request(self.verb, self.url.path, self.body, self.headers)
            response = connection.getresponse()
            self.status, self.kind = response.status, response.headers.get_content_type()
            self.answered = {name.lower(): value for name, value in response.headers.items()}
            self.has_head.set()
            self.read(response)
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as fault:
            self.fault = f"{type(fault).__name__}: {fault}"
        finally:
            self.has_head.set()
            self.inbox.put(Heard(None, None, self))
            if self.socket is not None:
                self.socket.close()

    def read(self, response):
        if self.kind == "text/event-stream":
            data = []
            for line in response:
                line = line.decode().rstrip("\r\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line.startswith("data:"):
                    data.append(line[5:].removeprefix(" "))
                elif not line and data:
                    self.put("\n".join(data))
                    data = []
        else:
            body = response.read().decode(errors="replace")
            if body.strip() and self.kind == "application/json":
                self.put(body)

    def put(self, raw):
        if raw.strip():
            self.inbox.put(Heard(json.loads(raw), raw, self))

    def close(self):
        """Closes the connection, which is how a client of 2026-07-28 gives a request up."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass


class Call:
    """A request that runs."""

    def __init__(self, id, exchange, method, params):
        self.id, self.exchange, self.method, self.params = id, exchange, method, params
        self.heard, self.asked = [], []

    def of(self, method):
        """The parameters of the notifications of one kind that came before the result."""
        return [message.get("params", {}) for message in self.heard if message["method"] == method]


class Client:
    def __init__(self, url, revision, capabilities=None, timeout=10):
        self.url, self.revision = urllib.parse.urlsplit(url), revision
        self.is_modern = revision == MODERN
        self.capabilities = ASKABLE if capabilities is None else capabilities
        self.timeout, self.inbox, self.ids = timeout, queue.Queue(), itertools.count(1)
        self.session = self.answered = self.stream = None
        self.exchanges, self.early = [], []

    def connect(self):
        """Opens the session of an older revision, with its stream, or asks what the server is."""
        if self.is_modern:
            result = self.request("server/discover")
            if MODERN not in result.get("supportedVersions", ()):
                raise Failed(f"server/discover does not list {MODERN}")
            return self
        has = dict(self.capabilities)
        if self.revision < "2025-06-18":
            has.pop("elicitation", None)
        call = self.start("initialize", {
            "protocolVersion": self.revision, "capabilities": has, "clientInfo": {"name": "table", "version": "1"},
        })
        result = self.finish(call)
        self.answered = result.get("protocolVersion")
        if not isinstance(self.answered, str) or self.answered > self.revision:
            raise Failed(f"a client of {self.revision} is answered {self.answered}")
        self.session = call.exchange.answered.get("mcp-session-id")
        self.notify("notifications/initialized")
        self.stream = self.exchange("GET", {"accept": "text/event-stream"} | self.session_headers(), None, 600)
        return self

    def session_headers(self):
        headers = {"mcp-session-id": self.session} if self.session else {}
        if self.answered and self.answered >= "2025-06-18":
            headers["mcp-protocol-version"] = self.answered
        return headers

    def exchange(self, verb, headers, body, timeout=None):
        exchange = Exchange(self.url, verb, headers, body, self.inbox, timeout or self.timeout + 30)
        self.exchanges.append(exchange)
        return exchange

    def post(self, message):
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if self.is_modern:
            headers |= {"mcp-protocol-version": MODERN, "mcp-method": message["method"]}
            name = message.get("params", {}).get(NAMES.get(message["method"]))
            headers |= {"mcp-name": name} if name else {}
        else:
            headers |= self.session_headers()
        return self.exchange("POST", headers, json.dumps(message).encode())

    def notify(self, method, params=None):
        exchange = self.post({"jsonrpc": "2.0", "method": method} | ({"params": params} if params else {}))
        exchange.has_head.wait(self.timeout)
        if exchange.status is None or not 200 <= exchange.status < 300:
            raise Failed(f"{method} is answered {exchange.status or exchange.fault}")

    def start(self, method, params=None, meta=None, level=None, token=None):
        """Sends a request, and returns it while it runs."""
        params, meta, id = dict(params or {}), dict(meta or {}), next(self.ids)
        if token is not None:
            meta["progressToken"] = token
        if self.is_modern:
            meta |= {META + "protocolVersion": MODERN, META + "clientCapabilities": self.capabilities,
                     META + "clientInfo": {"name": "table", "version": "1"}}
            meta |= {META + "logLevel": level} if level else {}
        if meta:
            params["_meta"] = meta
        return Call(id, self.post({"jsonrpc": "2.0", "id": id, "method": method, "params": params}), method, params)

    def finish(self, call, answer=None, timeout=None):
        """Waits for the result, and answers the questions that come before."""
        end = time.monotonic() + (timeout or self.timeout)
        while True:
            heard = self.next(end, call)
            message = heard.message
            if message is None:
                if heard.exchange is call.exchange:
                    self.broken(call, heard.exchange)
            elif "method" in message and "id" in message:
                self.respond(message, call, answer)
            elif "method" in message:
                (call.heard if message["method"] in OF_CALLS else self.early).append(message)
            elif message.get("id") == call.id:
                result = self.result(message, heard)
                if result.get("resultType") != "input_required" or answer is None:
                    return result
                call = self.retry(call, result, answer)
            elif heard.exchange is call.exchange and "error" in message and message.get("id") is None:
                raise Refused(message["error"], heard.exchange.status)

    def next(self, end, call=None):
        try:
            return self.inbox.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            what = call.method + " " + str(call.params.get("name", "")) if call else "a notification"
            raise Failed(f"{what.strip()}: nothing in time") from None

    def broken(self, call, exchange):
        # The answer may be in the inbox already, but it comes before the end of its own exchange.
        raise Failed(f"{call.method}: no answer, but {exchange.fault or f'status {exchange.status} {exchange.kind}'}")

    def result(self, message, heard):
        if "error" in message:
            raise Refused(message["error"], heard.exchange.status)
        result = message["result"]
        if self.is_modern and "resultType" not in result:
            raise Failed("a result without resultType")
        self.raw = heard.raw
        return result

    def respond(self, message, call, answer):
        """Answers a question of a server of an older revision."""
        if self.is_modern:
            raise Failed(f"a request {message['method']} to a client of {MODERN}")
        if message["method"] == "ping":
            self.post({"jsonrpc": "2.0", "id": message["id"], "result": {}})
            return
        call.asked.append(message)
        if answer is None:
            body = {"error": {"code": -32601, "message": "Method not found"}}
        else:
            body = {"result": answer(message["method"], message.get("params") or {})}
        self.post({"jsonrpc": "2.0", "id": message["id"]} | body)

    def retry(self, call, result, answer):
        """Repeats a request of 2026-07-28 with the answers to its questions."""
        asked = result.get("inputRequests") or {}
        call.asked.extend(asked.values())
        answers = {key: answer(question["method"], question.get("params") or {}) for key, question in asked.items()}
        params = {key: value for key, value in call.params.items() if key != "_meta"} | {"inputResponses": answers}
        if "requestState" in result:
            params["requestState"] = result["requestState"]
        again = self.start(call.method, params, {"progressToken": 1} if "progressToken" in call.params["_meta"] else None)
        again.heard, again.asked = call.heard, call.asked
        return again

    def request(self, method, params=None, **more):
        return self.finish(self.start(method, params, **more))

    def call(self, name, text=None, answer=None, timeout=None, **more):
        arguments = {} if text is None else {"text": text}
        call = self.start("tools/call", {"name": name, "arguments": arguments}, **more)
        return self.finish(call, answer, timeout)

    def text(self, name, text=None, **more):
        """The text of the result of a tool."""
        return words(self.call(name, text, **more))

    def list(self, method, member):
        """A list with all of its pages."""
        entries, cursor, seen = [], None, set()
        while True:
            page = self.request(method, {} if cursor is None else {"cursor": cursor})
            if self.is_modern and not ("ttlMs" in page and "cacheScope" in page):
                raise Failed(f"{method}: no ttlMs and cacheScope")
            entries += page[member]
            cursor = page.get("nextCursor")
            if cursor is None:
                return entries
            if cursor in seen or len(seen) > 1000:
                raise Failed(f"{method}: the same page again")
            seen.add(cursor)

    def tools(self):
        return [tool.get("name") for tool in self.list("tools/list", "tools")]

    def listen(self, **wanted):
        """Wants notices. A session of an older revision gets those of lists without asking."""
        if not self.is_modern:
            for uri in wanted.get("resourceSubscriptions", ()):
                self.request("resources/subscribe", {"uri": uri})
            return
        listening = self.start("subscriptions/listen", {"notifications": wanted})
        end = time.monotonic() + self.timeout
        while True:
            heard = self.next(end, listening)
            if heard.message is None and heard.exchange is listening.exchange:
                self.broken(listening, heard.exchange)
            if heard.message and heard.message.get("method") == "notifications/subscriptions/acknowledged":
                return
            if heard.message and heard.message.get("id") == listening.id and "error" in heard.message:
                raise Refused(heard.message["error"], heard.exchange.status)

    def hears(self, method, timeout):
        """Whether a notification arrives in this time, or has arrived while a call ran."""
        end = time.monotonic() + timeout
        if any(message["method"] == method for message in self.early):
            self.early.clear()
            return True
        while time.monotonic() < end:
            try:
                heard = self.inbox.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                return False
            if heard.message and heard.message.get("method") == method:
                return True
        return False

    def cancel(self, call):
        """Gives a request up by the means of the revision."""
        if self.is_modern:
            call.exchange.close()
        else:
            self.notify("notifications/cancelled", {"requestId": call.id})

    def drain(self):
        """Forgets what has arrived for earlier requests."""
        self.early.clear()
        while not self.inbox.empty():
            self.inbox.get_nowait()

    def close(self):
        for exchange in self.exchanges:
            exchange.close()


def words(result):
    content = result.get("content")
    if not isinstance(content, list) or not content or "text" not in content[0]:
        raise Failed(f"a result without text: {str(result)[:150]}")
    return content[0]["text"]


