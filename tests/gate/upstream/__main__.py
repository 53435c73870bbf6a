"""A scripted MCP server of one revision over one transport, which tells the truth unless it is asked to lie.

`python3 tests/gate/upstream --revision 2025-06-18 --over stdio --journal FILE`. Over HTTP it prints its URL. It writes what
happens to it, and every breach of the protocol by its client, to the journal.
"""

import argparse
import os
import signal
import subprocess
import sys
import time

from journal import Journal
from server import REVISIONS, Server


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--revision", choices=REVISIONS, required=True)
    parser.add_argument("--over", choices=("stdio", "http", "sse"), default="stdio")
    parser.add_argument("--journal", required=True)
    parser.add_argument("--lie", default="", help="what to lie about in the handshake and in lists")
    parser.add_argument("--fails-while", default="", help="exit at the start while this file exists")
    parser.add_argument("--stubborn", action="store_true", help="survive SIGTERM and the end of the input, with a child")
    parser.add_argument("--name", default="upstream", help="what the tool `who` answers")
    return parser.parse_args()


def stubborn(journal):
    """Ignores SIGTERM, and starts a child that does so, too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    journal.write("grandchild", child.pid)


def main():
    asked = arguments()
    journal = Journal(asked.journal)
    journal.write("start", os.getpid())
    if asked.fails_while and os.path.exists(asked.fails_while):
        print("no licence", file=sys.stderr, flush=True)
        sys.exit(3)
    if asked.stubborn:
        stubborn(journal)
    server = Server(asked.revision, asked.over, journal, asked.lie, asked.name)
    journal.follow(server.changed)
    if asked.over == "stdio":
        import over_stdio

        over_stdio.serve(server)
    else:
        import over_http

        over_http.serve(server)
    while asked.stubborn:
        time.sleep(1)


main()
