"""Checks an example against a page: `example.py PAGE SOURCE BOARD EMULATOR…`.

The code of the page's section must be in SOURCE word for word. The emulator is started, and its board
must answer the line of the page as the page says.
"""

import re
import subprocess
import sys
import threading

SECTION = "## From serial blink to a tool in fifteen minutes"


def main():
    document, source, board, *emulator = sys.argv[1:]
    page = read(document).split(SECTION)[1].split("\n### Types of arguments")[0]
    check_code(page, source)
    line = re.search(r"```json\n(.*?)```", page, re.S)[1]
    answer = re.search(r"The board answers `(.*?)…`", page, re.S)[1]
    came = ask(emulator, line)
    if not came.startswith(answer):
        sys.exit(f"example: {board} has answered {came!r}, not {answer}")
    print(f"ok: {board}: the page's code is the example's, and its line is answered")


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
    # What comes before the board has switched its port on is lost; an empty line is nothing to it.
    came = b""
    while board.poll() is None and not came:
        board.stdin.write(line.encode())
        board.stdin.flush()
        came = board.stdout.readline()
    late.cancel()
    board.kill()
    return came.decode()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    main()
