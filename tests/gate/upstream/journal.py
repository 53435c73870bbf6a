"""The journal of a server: one JSON object a line, which the table reads while the server runs.

Beside it lies what the server would have in a file or a database: changes, which all of its processes see.
"""

import json
import os
import threading
import time

LOOK = 0.03  # seconds between two looks at the changes


class Journal:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.changes = path + ".changes"

    def write(self, event, value=None):
        """Writes one line. Processes may share the file, because a short append is one write."""
        line = json.dumps({"event": event, "value": value, "pid": os.getpid()})
        os.write(self.file, line.encode() + b"\n")

    def change(self, what):
        with open(self.changes, "a") as changes:
            changes.write(what + "\n")

    def seen(self):
        try:
            with open(self.changes) as changes:
                return changes.read().splitlines()
        except FileNotFoundError:
            return []

    def has_late(self):
        return self.seen().count("list") % 2 == 1

    def follow(self, tell):
        """Calls a function for each change from now on."""
        def look():
            known = len(self.seen())
            while True:
                time.sleep(LOOK)
                if os.path.exists(self.changes) and len(changes := self.seen()) > known:
                    for what in changes[known:]:
                        tell(what)
                    known = len(changes)

        threading.Thread(target=look, daemon=True).start()
