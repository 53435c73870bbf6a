"""The programs that the table runs: how each is started in front of a server, and what it has no setting for."""

import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class NotOffered(Exception):
    """The program has no setting or transport for what a row needs. The text says which."""


class Gate:
    """A program that serves a server at a URL."""

    name = ""
    takes_urls = False
    settings = ()  # the options of rows that it has a setting for

    def check(self, options, url):
        if url and not self.takes_urls:
            raise NotOffered("it takes commands only")
        for option in options:
            if option not in self.settings:
                raise NotOffered(f"no setting for {option}")

    def command(self, port, directory, options, command, url):
        raise NotImplementedError

    def is_installed(self):
        return True


class Attache(Gate):
    name = "attache"
    takes_urls = True
    settings = (
        "the time of a call", "idle stop", "memory", "processes", "variables", "time of a ping", "back-off", "one child for each session",
        "two backends",
    )
    FLAGS = {"the time of a call": "--limits-call-time", "idle stop": "--idle", "memory": "--memory", "processes": "--processes",
             "variables": "--env", "one child for each session": "--per"}
    KEYS = {"time of a ping": "check_every", "back-off": "back_off"}

    def __init__(self, program):
        self.program = program

    def is_installed(self):
        return os.path.exists(self.program)

    def command(self, port, directory, options, command, url):
        listen = ["--listen", f"127.0.0.1:{port}", "--children-state-dir", str(directory)]
        if any(option in self.KEYS or option == "two backends" for option in options):
            return [self.program, "serve", *listen, "--config", self.config(directory, options, command, url)]
        flags = [word for option, value in options.items() for word in (self.FLAGS[option], value)]
        if url:
            return [self.program, "gate", *listen, *flags, url]
        return [self.program, "gate", *listen, *flags, "--", *command]

    def config(self, directory, options, command, url):
        def backend(command, name, prefix):
            quoted = ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in command)
            lines = ["[[server.backend]]", f'name = "{name}"', f"command = [{quoted}]"]
            lines += [f'prefix = "{prefix}"'] if prefix else []
            return lines + [f'{self.KEYS[option]} = "{options[option]}"' for option in options if option in self.KEYS]

        lines = ["[[server]]", *backend(command, "first", "")]
        if "two backends" in options:
            lines += backend(options["two backends"], "second", "second_")
        if "the time of a call" in options:
            lines = [f'limits.call_time = "{options["the time of a call"]}"', *lines]
        file = directory / "attache.toml"
        file.write_text("\n".join(lines) + "\n")
        return str(file)


class Supergateway(Gate):
    name = "supergateway"
    settings = ("idle stop",)

    def __init__(self, installed):
        self.program = installed / "node_modules/.bin/supergateway"

    def is_installed(self):
        return self.program.exists()

    def command(self, port, directory, options, command, url):
        idle = ["--sessionTimeout", "1000"] if "idle stop" in options else []
        return ["node", str(self.program), "--stdio", shlex.join(command), "--outputTransport", "streamableHttp", "--stateful",
                "--port", str(port), "--logLevel", "none", *idle]


class McpProxyNpm(Gate):
    name = "mcp-proxy (npm)"
    settings = ("the time of a call",)

    def __init__(self, installed):
        self.program = installed / "node_modules/.bin/mcp-proxy"

    def is_installed(self):
        return self.program.exists()

    def command(self, port, directory, options, command, url):
        limit = ["--requestTimeout", "3000"] if options else []
        return ["node", str(self.program), "--port", str(port), "--host", "127.0.0.1", "--server", "stream",
                "--upstreamProtocol", "auto", *limit, "--", *command]


class McpProxyPyPI(Gate):
    name = "mcp-proxy (PyPI)"
    settings = ("variables",)

    def __init__(self, installed):
        self.program = installed / "venv/bin/mcp-proxy"

    def is_installed(self):
        return self.program.exists()

    def command(self, port, directory, options, command, url):
        variables = [word for value in options.values() for word in ("-e", *value.split("=", 1))]
        return [str(self.program), "--port", str(port), "--host", "127.0.0.1", *variables, "--", *command]


class Running:
    """A gate that runs in front of a server."""

    def __init__(self, gate, directory, options, command, url, extra_environment=()):
        gate.check(options, url)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.log = directory / "gate.log"
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= {"TABLE_SECRET": "do not pass on", "XDG_RUNTIME_DIR": str(directory)} | dict(extra_environment)
        argv = gate.command(self.port, directory, options, command, url)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                                            cwd=directory, start_new_session=True)
        self.ready()

    def ready(self):
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)

    def is_alive(self):
        return self.process.poll() is None

    def peak_memory(self):
        """The largest resident size of the gate itself so far, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0

    def processor_time(self):
        """Seconds of processor time of the gate itself so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number):
        if self.is_alive():
            self.process.send_signal(number)

    def stop(self, patience=15):
        """Ends the gate as a service manager does."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


PORTS, LOCK = set(), threading.Lock()


def free_port():
    """A port that no other row of this run uses."""
    with LOCK:
        while True:
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                port = listener.getsockname()[1]
            if port not in PORTS:
                PORTS.add(port)
                return port


def all_gates(program, installed):
    return [Attache(program), Supergateway(installed), McpProxyNpm(installed), McpProxyPyPI(installed)]
