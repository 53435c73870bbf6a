"""Checks an example against a page.

    example.py PAGE SOURCE BOARD EMULATOR…      the section about a serial line
    example.py PAGE SOURCE BOARD --http ELF     the section about HTTP

The code of the section must be in SOURCE word for word. The board is booted, and must answer the line,
or the call by curl, of the page as the page says.
"""

import re
import shlex
import subprocess
import sys
import threading

sys.dont_write_bytecode = True

from board import Board
from load import free_port

SERIAL, HTTP, END = "## From serial blink to a tool in fifteen minutes", "### The same over HTTP", "### Types of arguments"


def main():
    document, source, board, *how = sys.argv[1:]
    serial, http = read(document).split(SERIAL)[1].split(END)[0].split(HTTP)
    over_http = how[0] == "--http"
    page = http if over_http else serial
    check_code(page, source)
    answer = re.search(r"The board answers `(.*?)(?:…)?`", page, re.S)[1]
    came = call(how[1], page) if over_http else ask(how, re.search(r"```json\n(.*?)```", page, re.S)[1])
    if not came.startswith(answer):
        sys.exit(f"example: {board} has answered {came!r}, not {answer}")
    print(f"ok: {board}: the page's code is the example's, and its call is answered")


def call(elf, page):
    """What the command of the page prints, for a fresh boot behind another port."""
    command = re.findall(r"```console\n\$ (curl .*?)```", page, re.S)[-1]
    port = free_port()
    with Board(elf, port=port):
        words = [word.replace(":8080", f":{port}") for word in shlex.split(command.replace("\\\n", " "))]
        return subprocess.run([*words, "--max-time", "30"], check=True, capture_output=True, text=True).stdout


def check_code(page, source):
    code = read(source)
    # The page has the name of its own example; the others have the same line with their own.
    blocks = [named(block) for block in re.findall(r"```rust\n(.*?)```", page, re.S)]
    if not blocks:
        sys.exit("example: the page has no code")
    for block in blocks:
        if block not in named(code):
            sys.exit(f"example: not in {source}, though the page has it:\n{block}")


def named(code):
    return re.sub(r'Server::new\("[\w-]+"', 'Server::new("NAME"', code)


def ask(emulator, line):
    """The board's answer to a line, from a fresh boot."""
    board = subprocess.Popen(emulator, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    late = threading.Timer(60, board.kill)
    late.start()
    # A part of what comes before the board has switched its port on is lost. So the board gets empty
    # lines and a message that is not JSON until it has answered one, and then the line of the page.
    heard = b""
    while board.poll() is None and not heard:
        send(board, b"\n?\n")
        heard = board.stdout.readline()
    send(board, line.encode())
    while b"-32700" in heard:
        heard = board.stdout.readline()
    late.cancel()
    board.kill()
    return heard.decode()


def send(board, line):
    board.stdin.write(line)
    board.stdin.flush()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    main()
