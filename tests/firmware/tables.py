"""Tables of measurements in a document, between marks that name the command that has made them."""

import re

GROWTH = 1.05
# Small rows move by a few words when something else is inlined into them.
FLOOR = 64
# How deep a stack is depends on where interrupts strike.
STACK_FLOOR = 512
# What may grow: nothing is lost by it.
FREE = {"never touched"}
# Columns that are no measurement.
GIVEN = {"calls", "bytes of the line"}


def grown(document, which, text):
    """The rows of `text` that are larger than those of the document, in words."""
    document_has = _between(_read(document), which)[1]
    if _maker(document_has) != _maker(text):
        print(f"measure: not compared: {_maker(text)} is not what made the document: {_maker(document_has)}")
        return
    # Where boots differ, the fewest of now are held against the most of then.
    before, now = _rows(document_has, -1), _rows(text, 0)
    for (table, name), cells in now.items():
        for column, value in cells.items():
            old = before.get((table, name), {}).get(column, 0)
            floor = STACK_FLOOR if "stack" in name + column else FLOOR
            if value > old * GROWTH + floor and name not in FREE and column not in GIVEN:
                yield f"{name}: {column} {value:,}, was {old:,}"


def rewrite(document, which, text):
    """Puts `text` into the document, in the place of what `which` had made."""
    front, _, back = _between(_read(document), which)
    with open(document, "w", encoding="utf-8") as file:
        file.write(f"{front}{text}{back}")


def _read(document):
    with open(document, encoding="utf-8") as file:
        return file.read()


def _between(text, which):
    front, mark, rest = text.partition(f"<!-- made by tests/firmware/{which} -->\n")
    inside, end, back = rest.partition("<!-- end -->")
    if not (mark and end):
        raise SystemExit(f"measure: the document has no place for what {which} makes")
    return front + mark, inside, end + back


def _maker(text):
    """Compiler and emulator."""
    return text.split("\n", 1)[0]


def _rows(text, end):
    """Of each row, by its table and name: the numbers, by column. Of a range the one at this end."""
    rows, head = {}, None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            head = None
        elif head is None:
            head = cells
        elif not set(line) <= set("|-: "):
            numbers = {column: _number(cell, end) for column, cell in zip(head[1:], cells[1:]) if cell}
            key, name = (head[0], cells[0]), cells[0]
            while key in rows:  # the same line sent twice
                name += "'"
                key = (head[0], name)
            rows[key] = numbers
    return rows


def _number(cell, end):
    return int(re.findall(r"[\d,]+", cell)[end].replace(",", ""))
