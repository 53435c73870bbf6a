"""Streamable HTTP, and the transport of 2024-11-05 with a separate event stream."""

import http.server
import json
import queue
import select
import socket
import threading
import time

from server import Reply, Session

OLD_POSTS = "/messages/"


class Posted(Reply):
    """The answer to a POST: JSON if the response is all of it, else a stream of events."""

    def __init__(self, handler, prefers_events):
        self.handler, self.prefers_events = handler, prefers_events
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.lock, self.has_begun, self.has_ended = threading.Lock(), False, threading.Event()
        self.extra = {}

    def send(self, text):
        with self.lock:
            if not self.has_begun:
                self.has_begun = True
                self.handler.begin("text/event-stream", self.extra)
            self.handler.chunk(b"event: message\ndata: " + text.encode() + b"\n\n")

    def finish(self, text):
        if self.has_begun or self.prefers_events:
            self.send(text)
            self.handler.chunk(b"")
            return
        self.handler.whole(status_of(text, self.handler.server.mcp.is_modern), "application/json", text.encode(), self.extra)

    def raw(self, pieces, kind="application/json"):
        """Sends bytes as the body, whose end is the end of the connection."""
        self.handler.close_connection = True
        self.handler.send_response(200)
        self.handler.send_header("content-type", kind)
        self.handler.send_header("connection", "close")
        self.handler.end_headers()
        for piece in pieces:
            self.handler.wfile.write(piece)

    def is_gone(self):
        readable, _, _ = select.select([self.handler.connection], [], [], 0)
        try:
            return bool(readable) and self.handler.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def linger(self, is_open):
        while is_open() and not self.has_ended.wait(0.05):
            if self.is_gone():
                return

    def end(self):
        self.has_ended.set()


def status_of(text, is_modern):
    """MCP 2026-07-28 streamable-http: some errors have a status of their own."""
    if not is_modern or '"error"' not in text:
        return 200
    code = json.loads(text).get("error", {}).get("code")
    return {-32601: 404, -32022: 400, -32021: 400, -32020: 400}.get(code, 200)


class Queued(Reply):
    """The answer to a POST of 2024-11-05: events of the stream."""

    headers = None

    def __init__(self, out):
        self.out = out

    def send(self, text):
        self.out.put(b"event: message\ndata: " + text.encode() + b"\n\n")

    def raw(self, pieces, kind=None):
        for piece in pieces:
            self.out.put(piece)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536

    def log_message(self, *_):
        pass

    def begin(self, kind, extra):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def whole(self, status, kind, body, extra=()):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        if body:
            self.send_header("content-type", kind)
        for name, value in dict(extra).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        message = json.loads(body)
        if self.server.mcp.over == "sse":
            return self.old_post(message)
        if self.path != "/mcp":
            return self.whole(404, "text/plain", b"not here")
        session, extra = self.session(message)
        if session is None:
            return self.whole(404, "text/plain", b"no such session")
        if not isinstance(message, dict) or "method" not in message or "id" not in message:
            session.receive(message, Reply())
            return self.whole(202, "", b"")
        reply = Posted(self, message["method"] in ("prompts/get", "prompts/list"))
        reply.extra = extra
        session.receive(message, reply)
        if message["method"] == "subscriptions/listen":
            session.listens.pop(message["id"], None)
            self.close_connection = True
        elif message["method"] == "tools/call" and message["params"].get("name") == "waits":
            self.close_connection = True

    def session(self, message):
        server = self.server
        if server.mcp.is_modern:
            return server.shared, {}
        id = self.headers.get("mcp-session-id")
        if id is not None:
            return server.by_id.get(id), {}
        if isinstance(message, dict) and message.get("method") == "initialize":
            id = f"session-{len(server.by_id) + 1}"
            out = queue.Queue()
            server.by_id[id] = Session(server.mcp, lambda text: out.put(b"data: " + text.encode() + b"\n\n"))
            server.by_id[id].stream = out
            return server.by_id[id], {"mcp-session-id": id}
        # A request without a session, such as the probe, gets the answer of a server without state.
        return Session(server.mcp, lambda text: None), {}

    def do_GET(self):
        server = self.server
        if server.mcp.over == "sse":
            return self.old_stream()
        session = server.by_id.get(self.headers.get("mcp-session-id"))
        if server.mcp.is_modern or session is None:
            return self.whole(405, "text/plain", b"no stream here", {"allow": "POST"})
        self.events(session.stream)

    def do_DELETE(self):
        session = self.server.by_id.pop(self.headers.get("mcp-session-id"), None)
        if session is not None:
            self.server.mcp.sessions.remove(session)
        self.whole(200 if session else 404, "text/plain", b"")

    def old_stream(self):
        out = queue.Queue()
        session = Session(self.server.mcp, lambda text: out.put(b"event: message\ndata: " + text.encode() + b"\n\n"))
        id = str(len(self.server.by_id) + 1)
        self.server.by_id[id] = session
        session.stream = out
        out.put(b"event: endpoint\ndata: " + OLD_POSTS.encode() + id.encode() + b"\n\n")
        self.events(out)
        self.server.mcp.sessions.remove(session)

    def old_post(self, message):
        session = self.server.by_id.get(self.path.removeprefix(OLD_POSTS))
        if not self.path.startswith(OLD_POSTS) or session is None:
            return self.whole(405, "text/plain", b"", {"allow": "GET"})
        reply = Queued(session.stream)
        is_request = isinstance(message, dict) and "method" in message and "id" in message
        if not is_request:
            # The client sends its next message when this one was taken, so it counts from here on.
            session.receive(message, reply)
        self.whole(202, "text/plain", b"Accepted")
        self.wfile.flush()
        if is_request:
            threading.Thread(target=session.receive, args=(message, reply), daemon=True).start()

    def events(self, out):
        """Sends what is put into the queue, until the client has gone."""
        self.close_connection = True
        self.begin("text/event-stream", {})
        gone = Posted(self, False).is_gone
        beat = time.monotonic()
        while not gone():
            try:
                self.chunk(out.get(timeout=0.1))
            except queue.Empty:
                if time.monotonic() - beat > 5:
                    beat = time.monotonic()
                    self.chunk(b": still here\n\n")
            except OSError:
                return


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A client that closes its connection while it is answered is no fault of the server."""


def serve(mcp):
    listener = Listener(("127.0.0.1", 0), Handler)
    listener.mcp, listener.by_id = mcp, {}
    listener.shared = Session(mcp, lambda text: None) if mcp.is_modern else None
    path = "sse" if mcp.over == "sse" else "mcp"
    print(f"http://127.0.0.1:{listener.server_address[1]}/{path}", flush=True)
    listener.serve_forever()
