"""Runs the table of cases against gates, and prints what each passes."""

import argparse
import collections
import concurrent.futures
import os
import sys
import time
from pathlib import Path

import cells
import children
import liars
from gates import ROOT, all_gates
from scene import FAIL, NONE, PASS

GROUPS = {"cells": cells, "children": children, "liars": liars}


def arguments():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(prog="tests/gate/run", description=__doc__)
    parser.add_argument("filter", nargs="*", help="only rows whose name contains each of these texts")
    parser.add_argument("--peers", action="store_true", help="run other gates as well, which tests/foreign/setup installs")
    parser.add_argument("--gate", action="append", help="only the gates with this text in their name; repeatable")
    parser.add_argument("--program", default=target / "debug/attache", help="the program attache")
    parser.add_argument("--installed", type=Path, default=target / "foreign/gates", help="where the other gates are installed")
    parser.add_argument("--jobs", type=int, default=6, help="scenes that run at once")
    parser.add_argument("--timeout", type=float, default=20, help="seconds that one answer may take")
    parser.add_argument("--rows", type=Path, help="write a table of all rows to this file")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and run nothing")
    return parser.parse_args()


def selected(filters):
    """All scenes with the rows that the filters leave."""
    for group in GROUPS.values():
        for scene in group.scenes():
            scene.rows = [row for row in scene.rows if all(text in scene.name(row) for text in filters)]
            if scene.rows:
                yield scene


def run(gate, scenes, asked):
    """Runs all scenes with one gate, and returns the outcomes in the order of the rows."""
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        # Scenes with fixed waits start first, so that they do not wait for the others.
        order = sorted(scenes, key=lambda scene: scene.group != "children")
        running = {scene: pool.submit(scene.run, gate, asked.timeout) for scene in order}
        return [outcome for scene in scenes for outcome in running[scene].result()]


def summary(results):
    """Counts for each group and gate, as Markdown."""
    lines = ["| Group | Rows | " + " | ".join(results) + " |", "|---|--:|" + "---|" * len(results)]
    for group in [*GROUPS, "all"]:
        columns, rows = [], 0
        for outcomes in results.values():
            kinds = collections.Counter(outcome.kind for outcome in outcomes if group in (outcome.group, "all"))
            rows = sum(kinds.values())
            columns.append(", ".join(f"{kinds[kind]} {kind}" for kind in (PASS, FAIL, NONE) if kinds[kind]))
        lines.append(f"| {group} | {rows} | " + " | ".join(columns) + " |")
    return "\n".join(lines)


def row_table(results):
    """A table of all rows, as Markdown."""
    lines = ["| Row | " + " | ".join(results) + " |", "|---|" + "---|" * len(results)]
    for outcomes in zip(*results.values(), strict=True):
        columns = [outcome.kind + (f": {escaped(outcome.reason)}" if outcome.reason else "") for outcome in outcomes]
        lines.append(f"| {outcomes[0].row} | " + " | ".join(columns) + " |")
    return "\n".join(lines) + "\n"


def escaped(text):
    return " ".join(text.split()).replace("|", "\\|")[:300]


def main():
    asked = arguments()
    scenes = list(selected(asked.filter))
    if asked.list:
        print("\n".join(scene.name(row) for scene in scenes for row in scene.rows))
        return 0
    gates = all_gates(str(asked.program), asked.installed)
    wanted = asked.gate or ([""] if asked.peers else ["attache"])
    gates = [gate for gate in gates if any(text in gate.name for text in wanted)]
    missing = [gate.name for gate in gates if not gate.is_installed()]
    if missing or not gates:
        print(f"not installed: {', '.join(missing) or asked.gate}; run tests/foreign/setup", file=sys.stderr)
        return 2
    results = {}
    for gate in gates:
        began = time.monotonic()
        results[gate.name] = run(gate, scenes, asked)
        print(f"{gate.name}: {len(results[gate.name])} rows in {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(summary(results))
    if asked.rows:
        asked.rows.write_text(row_table(results))
    failed = [outcome for outcome in results.get("attache", []) if outcome.kind != PASS]
    for outcome in failed:
        print(f"attache: {outcome.kind}: {outcome.row}: {outcome.reason}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
