"""Standard input and output: one message a line."""

import json
import sys
import threading

from server import Reply, Session


class Line(Reply):
    def __init__(self, lock):
        self.lock = lock

    def send(self, text):
        self.raw([text.encode() + b"\n"])

    def raw(self, pieces, kind=None):
        with self.lock:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()

    def linger(self, is_open):
        """A subscription on a pipe needs no thread: later notices are written by those who tell."""


def serve(server):
    lock = threading.Lock()
    session = Session(server, Line(lock).send)
    if server.lie == "silence":
        sys.stdin.buffer.read()
    for line in sys.stdin.buffer:
        if line.endswith(b"\r\n"):
            server.journal.write("breach", "CRLF")
        try:
            message = json.loads(line)
        except ValueError:
            server.journal.write("breach", "a line that is not JSON")
            continue
        reply = Line(lock)
        if isinstance(message, dict) and message.get("method") == "tools/call":
            threading.Thread(target=session.receive, args=(message, reply), daemon=True).start()
        else:
            session.receive(message, reply)
