"""The firmware image running in QEMU: start it, wait until it listens, stop it.

Run as a program (which `run` does) it connects the board's UART to standard input and output
(`board.py ELF --linger SECONDS`), or a port of this machine to the board's port 80 (`board.py ELF --port N [PAGE]`).
"""

import array
import ctypes
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time

QEMU = "qemu-system-arm"
PROVISIONED = 0x0003F000  # where the page of flash lies, see build.rs
CHUNK = 4096  # a pipe reported as writable takes this much (PIPE_BUF) without blocking


class Stopped(Exception):
    """The emulator ended by itself: the firmware panicked or faulted, or QEMU did not start."""


class Board:
    """One emulator. `input` and `output` are the UART's ends, `monitor` a QMP socket if asked for."""

    def __init__(self, elf, arguments=(), monitor=False, port=None):
        semihosting, theirs = socket.socketpair()
        passed = [theirs]
        command = [
            QEMU, "-M", "lm3s6965evb", "-nographic", "-monitor", "none", "-serial", "stdio",
            "-nic", f"user,model=stellaris,hostfwd=tcp:127.0.0.1:{port}-:80" if port else "none",
            "-chardev", f"socket,id=semihosting,fd={theirs.fileno()}",
            "-semihosting-config", "enable=on,target=native,chardev=semihosting",
            *arguments,
        ]
        self.monitor = None
        if monitor:
            self.monitor, theirs = socket.socketpair()
            passed.append(theirs)
            command += [
                "-chardev", f"socket,id=monitor,fd={theirs.fileno()}",
                "-mon", "chardev=monitor,mode=control",
            ]
        # A session of its own: Ctrl-C in a terminal reaches us alone, and we end the emulator.
        self.process = subprocess.Popen(
            [*command, "-kernel", elf],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
            pass_fds=[end.fileno() for end in passed],
            start_new_session=True, preexec_fn=_die_with_parent,
        )
        for end in passed:
            end.close()
        self.input = self.process.stdin.fileno()
        self.output = self.process.stdout.fileno()
        self._semihosting = semihosting
        os.set_blocking(self.input, False)

    def __enter__(self):
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _wait_until_ready(self):
        # Setting up the UART discards what has arrived, so nothing may be sent before this line.
        # It comes by semihosting because the UART carries nothing but the protocol.
        heard = b""
        while b"ready\n" not in heard:
            part = self._semihosting.recv(CHUNK)
            if not part:
                raise Stopped
            heard += part

    def unread(self):
        """Bytes the emulator has not yet taken from its input."""
        count = array.array("i", [0])
        fcntl.ioctl(self.input, termios.FIONREAD, count)
        return count[0]

    def stop(self):
        """Ends this emulator, and no other. Returns its exit status if it had ended by itself."""
        status = self.process.poll()
        if status is None:
            self.process.kill()
            self.process.wait()
        return status


def provisioned(page):
    """The emulator's arguments that put a file into the page of flash that the image keeps free."""
    # Commas separate options, unless they come twice.
    file = page.replace(",", ",,")
    return ["-device", f"loader,file={file},addr={PROVISIONED:#x},force-raw=on"]


def _die_with_parent():
    """Even if this program is killed by SIGKILL, its emulator shall not stay behind."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def connect(board, source, sink, linger):
    """Carries bytes both ways until `source` has ended and the board has been quiet for `linger`
    seconds, or until nobody reads `sink`."""
    to_board, from_board = b"", b""
    ended = False
    last_traffic = time.monotonic()
    while True:
        reads = [] if len(from_board) >= CHUNK else [board.output]
        if not ended and len(to_board) < CHUNK:
            reads.append(source)
        writes = ([board.input] if to_board else []) + ([sink] if from_board else [])
        readable, writable, _ = select.select(reads, writes, [], 0.02 if ended else None)
        if sink in writable:
            try:
                from_board = from_board[os.write(sink, from_board[:CHUNK]):]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                return
        if board.input in writable:
            try:
                to_board = to_board[os.write(board.input, to_board):]
            except BrokenPipeError:
                to_board = b""
        if source in readable:
            part = os.read(source, CHUNK)
            ended = not part
            to_board += part
        if board.output in readable:
            part = os.read(board.output, CHUNK)
            if not part:
                _write_all(sink, from_board)
                raise Stopped
            from_board += part
        # A long line is silent work for the board: quiet counts from the last byte it took.
        if readable or writable or to_board or from_board or (ended and board.unread()):
            last_traffic = time.monotonic()
        elif ended and time.monotonic() - last_traffic >= linger:
            return


def _write_all(sink, rest):
    while rest:
        rest = rest[os.write(sink, rest):]


def _exit_on_signal(number, _frame):
    sys.exit(128 + number)


def main():
    elf, mode, value, *page = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_on_signal)
    try:
        arguments = provisioned(page[0]) if page else []
        with Board(elf, arguments, port=value if mode == "--port" else None) as board:
            if mode == "--port":
                print(f"the board answers on http://127.0.0.1:{value}/mcp", flush=True)
                board.process.wait()
                raise Stopped
            connect(board, 0, 1, float(value))
    except Stopped:
        sys.exit("run: the board stopped: its firmware panicked or faulted, or QEMU failed")


if __name__ == "__main__":
    main()
