"""A scene: a server, a gate in front of it, and the rows of the table that use them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

from client import Client, Failed, Refused
from gates import NotOffered, Running

UPSTREAM = Path(__file__).parent / "upstream"
Row = namedtuple("Row", "name run")
Outcome = namedtuple("Outcome", "group row kind reason")  # kind: pass, fail, none
PASS, FAIL, NONE = "pass", "fail", "not offered"


class Scene:
    """What one upstream and one gate are for. Rows run one after the other.

    A row is a function of the stage. A row that fails may have left the gate in any state, so the next row gets a new one
    if `is_fresh` says so.
    """

    def __init__(self, group, title, rows, revision="2026-07-28", over="stdio", flags=(), options=None, wishes=None,
                 is_fresh=False):
        self.group, self.title, self.rows = group, title, rows
        self.revision, self.over, self.flags, self.options = revision, over, tuple(flags), dict(options or {})
        self.wishes, self.is_fresh = dict(wishes or {}), is_fresh  # options that a gate may lack

    def name(self, row):
        return f"{self.title}: {row.name}" if row.name else self.title

    def run(self, gate, timeout):
        outcomes, stage = [], None
        for row in self.rows:
            try:
                if stage is None:
                    stage = Stage(self, gate, timeout)
                began = stage.breaches()
                row.run(stage)
                stage.check(began)
                outcome = PASS, ""
            except NotOffered as reason:
                outcome = NONE, str(reason)
            except (Failed, Refused) as reason:
                outcome = FAIL, str(reason)
            except Exception as reason:  # an answer of another shape than a row reads
                outcome = FAIL, f"{type(reason).__name__}: {reason}"
            outcomes.append(Outcome(self.group, self.name(row), *outcome))
            if stage is not None and outcome[0] == FAIL:
                stage.forget_clients()
            if stage is not None and outcome[0] == FAIL and (self.is_fresh or not stage.gate.is_alive()):
                stage.close()
                stage = None
        if stage is not None:
            stage.close()
        return outcomes


class Stage:
    """A running scene."""

    def __init__(self, scene, gate, timeout):
        self.scene, self.program, self.timeout = scene, gate, timeout
        self.directory = Path(tempfile.mkdtemp(prefix="gate-table-"))
        self.journal_file = self.directory / "journal"
        self.clients, self.faults, self.upstream, self.gate = {}, {}, None, None
        try:
            url = None
            gate.check(scene.options, scene.over != "stdio")
            if scene.over != "stdio":
                url = self.serve()
            wished = {name: value for name, value in scene.wishes.items() if name in gate.settings}
            options = {name: value(self) if callable(value) else value for name, value in (scene.options | wished).items()}
            self.gate = Running(gate, self.directory, options, self.command(), url)
        except BaseException:
            self.close()
            raise

    def path(self, name):
        return self.directory / name

    def command(self, over="stdio", flags=None):
        """The command of the upstream."""
        flags = [str(flag(self)) if callable(flag) else flag for flag in (self.scene.flags if flags is None else flags)]
        return [sys.executable, "-S", "-E", str(UPSTREAM), "--revision", self.scene.revision, "--over", over,
                "--journal", str(self.journal_file), *flags]

    def serve(self):
        """Starts an upstream that serves HTTP, and returns its URL."""
        log = open(self.directory / "upstream.log", "wb")
        self.upstream = subprocess.Popen(self.command(self.scene.over), stdout=subprocess.PIPE, stderr=log)
        log.close()
        return self.upstream.stdout.readline().decode().strip()

    def client(self, revision="2026-07-28", capabilities=None, is_new=False):
        """A connected client. Rows of one revision share it; if it could not connect, they fail for that reason."""
        key = revision, json.dumps(capabilities)
        if key in self.faults:
            raise Failed(self.faults[key])
        if is_new or key not in self.clients:
            client = Client(self.gate.url, revision, capabilities, self.timeout)
            try:
                self.clients[key] = client.connect()
                self.wait_for_tools(client)
            except (Failed, Refused) as reason:
                client.close()
                self.clients.pop(key, None)
                self.faults[key] = f"no connection for a client of {revision}: {reason}"
                raise Failed(self.faults[key]) from None
        self.clients[key].drain()
        return self.clients[key]

    def wait_for_tools(self, client):
        """The gate may still be connecting. A list that stays empty or fails is for rows to judge."""
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            try:
                if client.tools():
                    return
            except (Failed, Refused, KeyError):
                if not self.gate.is_alive():
                    return
            if self.scene.title.startswith("list:"):
                return
            time.sleep(0.05)

    def forget_clients(self):
        """Closes all clients, so that the next row gets new ones."""
        for client in self.clients.values():
            client.close()
        self.clients.clear()

    def journal(self, *events):
        """The values of these events, in their order."""
        try:
            lines = self.journal_file.read_text().splitlines()
        except FileNotFoundError:
            return []
        entries = map(json.loads, lines)
        return [entry["value"] for entry in entries if entry["event"] in events]

    def breaches(self):
        return len(self.journal("breach"))

    def check(self, began):
        """A row also fails if the gate has broken the protocol towards the server meanwhile."""
        new = self.journal("breach")[began:]
        if new:
            raise Failed(f"breaks the protocol at the server: {new[0]}")
        if not self.gate.is_alive() and not self.scene.title.startswith("end of the gate"):
            raise Failed("the gate has ended")

    def until(self, what, holds, timeout=None):
        end = time.monotonic() + (timeout or self.timeout)
        while not holds():
            if time.monotonic() > end:
                raise Failed(what)
            time.sleep(0.02)

    def close(self):
        self.forget_clients()
        if self.gate is not None:
            self.gate.stop()
        if self.upstream is not None:
            self.upstream.kill()
            self.upstream.wait()
            self.upstream.stdout.close()
        for pid in self.journal("start", "grandchild"):
            if is_ours(pid):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)


def is_alive(pid):
    """Whether a process runs. One that has ended and was not waited for does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_ours(pid):
    """Whether a process is a server of the table, or a child of one: the number may belong to another by now."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return str(UPSTREAM).encode() in line or line.startswith((b"sleep 600 ", b"sh -c trap '' TERM; while"))
