"""Servers that lie: the call that meets the lie ends, limits hold, and the next call is served."""

import sys

from cells import demand
from client import Client, Failed, Refused, words
from scene import UPSTREAM, Row, Scene

sys.path.insert(0, str(UPSTREAM))
import lies  # noqa: E402
import lies_at_start  # noqa: E402

ERAS = {"modern": "2026-07-28", "legacy": "2025-11-25"}
MOST_MEMORY = 300 << 20  # of the gate itself, after a lie of 200 MB
LONG = ("200 MB", "endless line")  # a pipe has to be emptied before the next answer can come
LIMIT = {"the time of a call": "3s"}  # for calls whose answer cannot be recognised


def told(name, outcome, down):
    """The tool lies once. The call must end as the lie demands, and the next calls must be served."""

    def run(stage):
        client = stage.client(down)
        try:
            result = client.call("lie", name)
        except Refused as error:
            demand(outcome != "result", f"{error}")
            demand(error.message and error.status not in (401, 403), f"status {error.status}, {error}")
        else:
            failed = result.get("isError") is True
            demand(outcome != "error" or failed, f"a result: {str(result)[:150]}")
            demand(outcome != "result" or "tr" in words(result), f"another result: {str(result)[:150]}")
        if name in LONG and stage.scene.over == "stdio":
            stage.until("the next calls fail", lambda: is_served(client))
        demand(client.text("echo", "next") == "next", "the next call fails")

    return Row(f"{name}, client {down}", run)


def is_served(client):
    try:
        return client.text("echo", "soon") == "soon"
    except Refused:
        return False


def memory(stage):
    used = stage.gate.peak_memory()
    demand(used < MOST_MEMORY, f"the gate has used {used >> 20} MiB")


def others(stage):
    """Another client is served while one meets a flood and another an endless line."""
    good, bad = stage.client(), Client(stage.gate.url, "2026-07-28", None, stage.timeout).connect()
    for name in ("flood of log messages", "endless line"):
        bad.start("tools/call", {"name": "lie", "arguments": {"text": name}})
        for _ in range(5):
            demand(good.text("echo", "good") == "good", "another client is harmed")
    bad.close()


def calls():
    """One scene for each transport and era of the server, with all lies that exist there."""
    for over in lies.ALL:
        for era, up in ERAS.items():
            if over == "sse" and era == "modern":
                continue
            rows = [
                told(name, lie.outcome, down)
                for down in ERAS.values() for name, lie in lies.CALLS.items() if over in lie.overs and era in lie.eras
            ]
            yield Scene("liars", f"lie of a server {up} over {over}", [*rows, Row("memory", memory)], up, over, wishes=LIMIT,
                        is_fresh=True)
    yield Scene("liars", "lie beside other clients", [Row("", others)], wishes=LIMIT)


def usable(down):
    def run(stage):
        client = stage.client(down)
        demand(client.text("echo", "hello") == "hello", "another result")

    return Row(f"client {down}", run)


def handshakes():
    for name, (overs, eras) in lies_at_start.HANDSHAKES.items():
        for over in overs.split():
            for era, up in ERAS.items():
                if era in eras and not (over == "sse" and era == "modern"):
                    rows = [usable(down) for down in ERAS.values()]
                    yield Scene("liars", f"handshake: {name}, server {up} over {over}", rows, up, over, ("--lie", name))


def has(*names):
    """The list has these tools, and each can be called."""
    def run(stage):
        client = stage.client()
        listed = client.tools()
        demand(sorted(name for name in listed if name in ("echo", "who")) == sorted(names), f"listed: {listed[:10]}")
        for name in names:
            client.text(name, "x")

    return run


def count(number):
    def run(stage):
        listed = stage.client().tools()
        demand(len(listed) == number, f"{len(listed)} tools are listed")

    return run


def unlisted(stage):
    """The list cannot be had whole. It is left out or an error, in time, and other lists are served."""
    client = stage.client()
    try:
        client.tools()
    except Refused:
        pass
    stage.until("prompts are missing", lambda: len(client.list("prompts/list", "prompts")) == 7)


def lives(stage):
    """A list that cannot be read cannot be told from no answer on a pipe. The gate goes on."""
    stage.client().tools()


LISTS = {
    "pages for ever": unlisted, "the same page for ever": unlisted, "cursor of null": has("echo"),
    "empty cursor": has("echo", "who"), "cycle of schemas": has("echo", "who"), "schema elsewhere": has("echo", "who"),
    "deep schema": unlisted, "names that clash": has("echo"), "entries that are none": has("echo"),
    "5,000 tools": count(5000), "tools that are a text": unlisted, "list that is an error": unlisted,
}


def lists():
    for name, run in LISTS.items():
        for over in lies.ALL:
            up = ERAS["legacy" if over == "sse" else "modern"]
            row = Row("", lives if name == "deep schema" and over != "http" else run)
            yield Scene("liars", f"list: {name}, server {up} over {over}", [row], up, over, ("--lie", name))


def clash(stage):
    """Two backends with one name: the first has it, with or without a start."""
    client = stage.client()
    demand(client.text("who") == "first" and client.text("second_who") == "second", "calls reach another backend")


def backends():
    second = {"two backends": lambda stage: stage.command(flags=("--name", "second"))}
    yield Scene("liars", "two backends: prefixes", [Row("", clash)], flags=("--name", "first"), options=second)


def scenes():
    yield from calls()
    yield from handshakes()
    yield from lists()
    yield from backends()
