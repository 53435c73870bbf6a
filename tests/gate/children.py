"""The nine demands on child processes."""

import os
import signal
import time

from cells import demand
from client import Client, Failed, Refused, words
from scene import Row, Scene, is_alive

LATEST, OLDER = "2026-07-28", "2025-06-18"


def fails_soon(stage, client, tool, text=None, within=8):
    """Makes a call that cannot be answered, and returns its error, which must come soon and in words."""
    began = time.monotonic()
    try:
        result = client.call(tool, text, timeout=within)
    except Refused as error:
        demand(error.message, "an error without words")
        return f"{error.message} {error.data or ''}"
    except Failed as reason:
        raise Failed(f"after {time.monotonic() - began:.0f} s: {reason}") from None
    demand(result.get("isError") is True, f"a result: {result}")
    return words(result)


def comes_back(stage, revision, starts=1):
    """The child is started again by itself, and calls are served."""
    stage.until("the child is not started again", lambda: len(stage.journal("start")) > starts)

    def is_served():
        try:
            return stage.client(revision, is_new=True).text("echo", "back", timeout=5) == "back"
        except (Failed, Refused):
            stage.faults.clear()
            return False

    stage.until("calls are not served again", is_served, 15)


def death(how):
    def run(stage, revision):
        fails_soon(stage, stage.client(revision), "die", how)

    return run


def death_in_words(stage, revision):
    error = fails_soon(stage, stage.client(revision), "die", "exit")
    demand("7" in error, f"no exit status in {error!r}")


def last_lines(stage, revision):
    error = fails_soon(stage, stage.client(revision), "die", "exit")
    demand("out of paper" in error, f"nothing of the standard error in {error!r}")


def death_fails_all(stage, revision):
    """All calls that run end soon when their child dies."""
    client = stage.client(revision)
    calls = [client.start("tools/call", {"name": "waits", "arguments": {}}) for _ in range(5)]
    stage.until("the calls do not reach the server", lambda: len(stage.journal("waits")) >= 5)
    os.kill(stage.journal("start")[-1], signal.SIGKILL)
    ended, end = set(), time.monotonic() + 8
    while len(ended) < 5:
        heard = client.next(end)
        if heard.message and heard.message.get("id") in {call.id for call in calls}:
            ended.add(heard.message["id"])


def death_between_calls(stage, revision):
    stage.client(revision)
    os.kill(stage.journal("start")[-1], signal.SIGKILL)
    comes_back(stage, revision)


def entries_leave(stage, revision):
    """The entries of a child that stays away leave the lists, or their calls fail at once."""
    client = stage.client(revision)
    stage.path("off").touch()
    os.kill(stage.journal("start")[-1], signal.SIGKILL)

    def is_away():
        try:
            return not client.tools()
        except (Failed, Refused):
            return True

    stage.until("the tools are still listed", is_away, 12)
    stage.path("off").unlink()
    comes_back(stage, revision, len(stage.journal("start")))


def started_again(stage, revision):
    try:
        stage.client(revision).call("die", "exit", timeout=5)
    except (Failed, Refused):
        pass
    comes_back(stage, revision)


def back_off(stage, revision):
    """A child that dies at its start is started less and less often, and the gate uses no processor time meanwhile."""
    stage.client(revision)
    stage.path("off").touch()
    os.kill(stage.journal("start")[-1], signal.SIGKILL)
    before, used = len(stage.journal("start")), stage.gate.processor_time()
    time.sleep(5)
    starts, used = len(stage.journal("start")) - before, stage.gate.processor_time() - used
    demand(starts > 0, "the child is not started again")
    demand(starts <= 14, f"{starts} starts in 5 s")
    demand(used < 2.5, f"{used:.1f} s of processor time in 5 s")
    stage.path("off").unlink()
    comes_back(stage, revision, len(stage.journal("start")))


def bad_start(stage, revision):
    """A child that cannot start does not end the gate."""
    time.sleep(1)
    demand(stage.gate.is_alive(), "the gate has ended")
    stage.path("off").unlink()
    comes_back(stage, revision, len(stage.journal("start")))


def waits_for_restart(stage, revision):
    """A call during a restart waits for the child, and a call that was written is not made again."""
    client = stage.client(revision)
    fails_soon(stage, client, "die", "exit")
    demand(client.text("echo", "waited") == "waited", "another result")
    demand(stage.journal("call").count("die") == 1, "the call that was written is made again")


def stopped(stage, revision):
    """A child that is stopped, and answers nothing, is found and replaced."""
    stage.client(revision)
    pid = stage.journal("start")[-1]
    os.kill(pid, signal.SIGSTOP)
    stage.until("the stopped child is not replaced", lambda: len(stage.journal("start")) > 1, 12)
    stage.until("the stopped child lives on", lambda: not is_alive(pid), 12)
    comes_back(stage, revision)


def busy(stage, revision):
    """A child that is busy with a call is not taken for one that hangs."""
    demand(stage.client(revision).text("sleep", "2.5") == "slept", "another result")
    demand(len(stage.journal("start")) == 1, "the busy child was replaced")


def all_gone(stage, what):
    for pid in stage.journal("start", "grandchild"):
        stage.until(f"{what}: a process is left", lambda pid=pid: not is_alive(pid), 12)


def stop_leaves_nothing(stage, revision):
    stage.client(revision).text("spawn", "2")
    stage.gate.stop()
    all_gone(stage, "after SIGTERM")


def kill_leaves_nothing(stage, revision):
    stage.client(revision).text("spawn", "2")
    stage.gate.signal(signal.SIGKILL)
    all_gone(stage, "after SIGKILL")


def death_ends_group(stage, revision):
    """Processes that a dead child has left are ended, too."""
    client = stage.client(revision)
    client.text("spawn", "2")
    fails_soon(stage, client, "die", "exit")
    for pid in stage.journal("grandchild"):
        stage.until("a grandchild is left", lambda pid=pid: not is_alive(pid), 12)


def sessions_leave_nothing(stage, revision):
    """Clients that come and go leave no processes behind."""
    for _ in range(8):
        client = Client(stage.gate.url, revision, None, stage.timeout).connect()
        client.text("echo", "x")
        if client.session:
            client.exchange("DELETE", client.session_headers(), None).has_head.wait(5)
        client.close()

    def running():
        return sum(map(is_alive, stage.journal("start")))

    stage.until("processes of sessions that have ended are left", lambda: running() <= 2, 12)


def idle(stage, revision):
    """A child that no call uses is stopped, its tools stay, and the next call starts it again."""
    stage.client(revision)
    stage.forget_clients()
    stage.until("the idle child runs on", lambda: not any(map(is_alive, stage.journal("start"))), 12)
    client = stage.client(revision, is_new=True)
    demand(client.text("echo", "again") == "again", "another result")


def memory(stage, revision):
    """A child that takes more memory than allowed is killed, and its call says why."""
    error = fails_soon(stage, stage.client(revision), "grow", within=12)
    demand("memory" in error, f"nothing about memory in {error!r}")
    comes_back(stage, revision)


def processes(stage, revision):
    stage.client(revision)
    try:
        stage.client(revision).call("spawn", "12", timeout=5)
    except (Failed, Refused):
        pass
    stage.until("the group of the child lives on", lambda: not any(map(is_alive, stage.journal("grandchild"))), 12)
    comes_back(stage, revision)


def noise(stage, revision):
    """A child that writes 6 MB of errors is not held up."""
    demand(stage.client(revision).text("noise") == "quiet", "another result")


def environment(stage, revision):
    text = stage.client(revision).text("environment", "TABLE_SECRET")
    demand(text == "unset", "the child inherits a secret of the gate")


def named_variable(stage, revision):
    text = stage.client(revision).text("environment", "TABLE_OWN")
    demand(text == "own", f"a variable that was named is {text!r}")


def child_for_each_session(stage, revision):
    clients = [Client(stage.gate.url, revision, None, stage.timeout).connect() for _ in range(2)]
    for client in clients:
        demand(client.text("echo", "x") == "x", "another result")
    alive = sum(map(is_alive, stage.journal("start")))
    for client in clients:
        client.close()
    demand(alive >= 2, f"{alive} child for two sessions")


def keep_alive(stage, revision):
    """A client that waits for a long call hears something from time to time."""
    client = stage.client(revision)
    call = client.start("tools/call", {"name": "sleep", "arguments": {"text": "17"}})
    demand(words(client.finish(call, timeout=25)) == "slept", "another result")
    demand(call.exchange.comments > 0, "nothing was heard for 17 s")


def off(stage):
    stage.path("off").touch()
    return stage.path("off")


def while_off(stage):
    return stage.path("off")


DEMANDS = (
    # number of the demand, what, row, options, flags of the server
    (1, "exit in a call", death("exit"), {}, ()),
    (1, "SIGKILL in a call", death("kill"), {}, ()),
    (1, "exit while a grandchild holds the pipe", death("grandchild"), {}, ()),
    (1, "output closed by a child that lives", death("output"), {}, ()),
    (1, "exit while five calls run", death_fails_all, {}, ()),
    (1, "entries of a child that stays away", entries_leave, {}, ("--fails-while", while_off)),
    (2, "started again after an exit", started_again, {}, ()),
    (2, "started again after a death between calls", death_between_calls, {}, ()),
    (2, "never a spin", back_off, {}, ("--fails-while", while_off)),
    (3, "call during a restart", waits_for_restart, {}, ()),
    (4, "stopped child is found", stopped, {"time of a ping": "300ms"}, ()),
    (4, "busy child is left alone", busy, {"time of a ping": "300ms"}, ()),
    (4, "busy child is left alone without settings", busy, {}, ()),
    (5, "end of the gate: SIGTERM leaves nothing", stop_leaves_nothing, {}, ()),
    (5, "end of the gate: SIGTERM leaves nothing of a stubborn child", stop_leaves_nothing, {}, ("--stubborn",)),
    (5, "end of the gate: SIGKILL leaves nothing", kill_leaves_nothing, {}, ()),
    (5, "end of the gate: SIGKILL leaves nothing of a stubborn child", kill_leaves_nothing, {}, ("--stubborn",)),
    (5, "death of a child ends its group", death_ends_group, {}, ()),
    (5, "clients that come and go", sessions_leave_nothing, {}, ()),
    (6, "idle stop", idle, {"idle stop": "1s"}, ()),
    (6, "too much memory", memory, {"memory": "100MiB"}, ()),
    (6, "too many processes", processes, {"processes": "8"}, ()),
    (6, "child that cannot start", bad_start, {}, ("--fails-while", off)),
    (7, "exit status in the error", death_in_words, {}, ()),
    (7, "last lines of standard error in the error", last_lines, {}, ()),
    (7, "6 MB of standard error", noise, {}, ()),
    (8, "secrets are not inherited", environment, {}, ()),
    (8, "named variable", named_variable, {"variables": "TABLE_OWN=own"}, ()),
    (8, "child for each session", child_for_each_session, {"one child for each session": "session"}, ()),
    (9, "keep-alive in a long call", keep_alive, {}, ()),
)


def scenes():
    for number, what, run, options, flags in DEMANDS:
        title = what if what.startswith("end of the gate") else f"demand {number}: {what}"
        for revision in (LATEST, OLDER):
            row = Row(f"client and server {revision}", lambda stage, run=run, revision=revision: run(stage, revision))
            yield Scene("children", title, [row], revision, flags=flags, options=options)
