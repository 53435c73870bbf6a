"""The messages of a server of one revision, whatever the transport is."""

import itertools
import json
import queue
import threading

import checks
import lies_at_start
import lists
import tools

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
META = "io.modelcontextprotocol/"
PATIENCE = 20  # seconds for the answer to a question


class Error(Exception):
    """The answer to a request is an error."""

    def __init__(self, code, message, data=None):
        super().__init__(message)
        self.body = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Cancelled(Exception):
    """The client has given the request up, so it gets no answer."""


class Reply:
    """Where the messages about one request go. Transports derive their own."""

    headers = None  # lower-case names, over HTTP only

    def send(self, text):
        """Sends a message that precedes the response."""
        raise NotImplementedError

    def finish(self, text):
        """Sends the response."""
        self.send(text)

    def raw(self, pieces, kind="application/json"):
        """Sends bytes that may be no message."""
        raise NotImplementedError

    def is_gone(self):
        """Whether the client has closed the connection of this request."""
        return False


class Server:
    """What all sessions of a process share."""

    def __init__(self, revision, over, journal, lie, name):
        self.revision, self.over, self.journal, self.lie, self.name = revision, over, journal, lie, name
        self.is_modern = revision == REVISIONS[-1]
        self.sessions = []
        self.pages = itertools.count()

    @property
    def has_late(self):
        """Whether the list of tools is the longer one. All processes of a scene share this state."""
        return self.journal.has_late()

    def since(self, revision):
        return self.revision >= revision

    def tell(self, kind, method, params=None):
        """Sends a notice that belongs to no request to every session that wants it."""
        for session in list(self.sessions):
            session.tell(kind, method, dict(params or {}))

    def changed(self, what):
        if what == "resource":
            self.tell("resourceSubscriptions", "notifications/resources/updated", {"uri": "note://a"})
        else:
            self.tell("toolsListChanged", "notifications/tools/list_changed")

    def capabilities(self):
        has = {
            "tools": {"listChanged": True}, "prompts": {"listChanged": True}, "logging": {},
            "resources": {"listChanged": True, "subscribe": True},
        }
        return has | ({"completions": {}} if self.since("2025-03-26") else {})


class Session:
    """One client, or all clients of a server without sessions."""

    def __init__(self, server, out):
        self.server, self.out = server, out
        self.phase = "modern" if server.is_modern else "new"
        self.capabilities, self.level, self.watched = {}, "debug", set()
        self.answers, self.running, self.ids, self.listens = {}, {}, set(), {}
        self.own_ids = itertools.count(1)
        server.sessions.append(self)

    def receive(self, message, reply):
        """Takes one message of the client. Returns when a request is answered."""
        if isinstance(message, list):
            return checks.breach(self, "an array")
        if "method" not in message:
            return self.answered(message)
        if "id" not in message:
            return self.notified(message)
        checks.request(self, message, reply)
        try:
            self.running[message["id"]] = threading.Event()
            self.respond(message, self.answer(message, reply), reply)
        except Error as error:
            reply.finish(dump({"jsonrpc": "2.0", "id": message["id"], "error": error.body}))
        except Cancelled:
            self.server.journal.write("cancelled", message["method"])
        finally:
            self.running.pop(message["id"], None)

    def respond(self, message, result, reply):
        if result is None:
            return
        if isinstance(result, dict):
            if self.server.is_modern:
                result = {"resultType": "complete", **result}
                result.setdefault("_meta", {})[META + "serverInfo"] = {"name": "upstream", "version": "1"}
            result = dump(result)
        reply.finish('{"jsonrpc":"2.0","id":%s,"result":%s}' % (dump(message["id"]), result))

    def answer(self, message, reply):
        method, params = message["method"], message.get("params") or {}
        if lies_at_start.about_handshake(self, message, reply):
            return None
        if method == "tools/call":
            return tools.call(self, message, reply)
        handler = (MODERN if self.server.is_modern else LEGACY).get(method) or lists.METHODS.get(method)
        if handler is None:
            raise Error(-32601, "Method not found")
        return handler(self, params, message, reply)

    def notified(self, message):
        checks.notification(self, message)
        params = message.get("params") or {}
        if message["method"] == "notifications/initialized":
            self.phase = "open"
        elif message["method"] == "notifications/cancelled":
            running = self.running.get(params.get("requestId"))
            if running is not None:
                running.set()
            self.unlisten(params.get("requestId"))

    def answered(self, message):
        waiting = self.answers.pop(message.get("id"), None)
        if self.server.is_modern or waiting is None:
            return checks.breach(self, "an answer to no question: " + dump(message)[:200])
        waiting.put(message)

    def ask(self, method, params, reply):
        """Asks a client of an older revision, and returns its result."""
        id, waiting = f"q{next(self.own_ids)}", queue.Queue()
        self.answers[id] = waiting
        reply.send(dump({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
        try:
            answer = waiting.get(timeout=PATIENCE)
        except queue.Empty:
            raise Error(-32603, "no answer to the question") from None
        if "error" in answer:
            raise Error(-32603, "refused: " + str(answer["error"].get("message")), answer["error"])
        return answer["result"]

    def tell(self, kind, method, params):
        if self.server.is_modern:
            for id, (wanted, reply) in list(self.listens.items()):
                if wanted.get(kind) is True or params.get("uri") in wanted.get(kind, ()):
                    reply.send(note(method, params | {"_meta": {META + "subscriptionId": id}}))
        elif self.phase == "open" and (kind != "resourceSubscriptions" or params["uri"] in self.watched):
            self.out(note(method, params))

    def unlisten(self, id):
        listen = self.listens.pop(id, None)
        if listen is not None and hasattr(listen[1], "end"):
            listen[1].end()


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def note(method, params):
    return dump({"jsonrpc": "2.0", "method": method, "params": params})


def initialize(session, params, message, reply):
    session.capabilities, session.phase = params.get("capabilities", {}), "initialized"
    return {
        "protocolVersion": session.server.revision, "capabilities": session.server.capabilities(),
        "serverInfo": {"name": "upstream", "version": "1"}, "instructions": "Use the tools.",
    }


def discover(session, params, message, reply):
    return {
        "supportedVersions": [session.server.revision], "capabilities": session.server.capabilities(),
        "instructions": "Use the tools.", "ttlMs": 0, "cacheScope": "private",
    }


def refuse_handshake(session, params, message, reply):
    supported = {"supported": [session.server.revision], "requested": str(params.get("protocolVersion"))}
    raise Error(-32022, "Unsupported protocol version", supported)


def set_level(session, params, message, reply):
    session.level = params["level"]
    return {}


def subscribe(session, params, message, reply):
    session.watched.add(params["uri"])
    return {}


def unsubscribe(session, params, message, reply):
    session.watched.discard(params["uri"])
    return {}


def listen(session, params, message, reply):
    wanted = params["notifications"]
    acknowledged = {"notifications": wanted, "_meta": {META + "subscriptionId": message["id"]}}
    session.listens[message["id"]] = (wanted, reply)
    reply.send(note("notifications/subscriptions/acknowledged", acknowledged))
    reply.linger(lambda: message["id"] in session.listens)


LEGACY = {
    "initialize": initialize, "ping": lambda *_: {}, "logging/setLevel": set_level,
    "resources/subscribe": subscribe, "resources/unsubscribe": unsubscribe,
}
MODERN = {"server/discover": discover, "initialize": refuse_handshake, "subscriptions/listen": listen}
