"""What an image occupies, from its section and symbol tables: by section, by crate and module."""

import collections
import re
import subprocess

RAM = 0x2000_0000
ENGINE = "attache_core"

Section = collections.namedtuple("Section", "name size in_flash in_ram")
Symbol = collections.namedtuple("Symbol", "name address size in_flash in_ram")


class Image:
    """Sections and symbols of an ELF file."""

    def __init__(self, elf):
        by_index = dict(_sections(elf))
        self.sections = [section for section in by_index.values() if section.size]
        self.addresses = {}  # of every named symbol, for the linker's marks too
        self.symbols = []
        seen = set()
        for kind, index, address, size, name in _symbols(elf):
            address &= ~1 if kind == "FUNC" else ~0  # bit 0 of a function says Thumb
            self.addresses.setdefault(name, address)
            section = by_index.get(index)
            # Functions merged by the linker have several names; the first one gets the bytes.
            if kind in ("FUNC", "OBJECT") and size and section and address not in seen:
                seen.add(address)
                self.symbols.append(
                    Symbol(name, address, size, section.in_flash, section.in_ram))

        self.compiler = _compiler(elf)

    def flash(self):
        return sum(section.size for section in self.sections if section.in_flash)

    def ram(self):
        return sum(section.size for section in self.sections if section.in_ram)

    def parts(self):
        """(part, flash bytes, RAM bytes), the largest in flash first."""
        flash, ram = collections.Counter(), collections.Counter()
        for symbol in self.symbols:
            part = part_of(symbol.name)
            flash[part] += symbol.size * symbol.in_flash
            ram[part] += symbol.size * symbol.in_ram
        unnamed = "constants without a name, padding"
        flash[unnamed] = self.flash() - flash.total()
        ram[unnamed] = self.ram() - ram.total()
        rows = [(part, flash[part], ram[part]) for part in flash | ram]
        return sorted(rows, key=lambda row: (-row[1], -row[2], row[0]))


def part_of(name):
    """The crate that defines a symbol; for the engine its module as well."""
    if re.search(r"\bTaskStorage<", name):
        # Generic code of the executor in name only: the linker put the whole task into it.
        return "async tasks, with all that was inlined into them"
    path = name
    while True:
        bare = re.sub(r"^([<&(\[]|mut |dyn |\*const |\*mut |'\w+ )", "", path)
        if bare == path:
            break
        path = bare
    first, *rest = re.match(r"[\w.$]*(?:::\w+)*", path).group().split("::")
    trait = re.match(r"[\w\]), ;]+ as ([\w:]+)", path)
    if not rest and trait:  # <u32 as crate::Trait>::function
        first, *rest = trait.group(1).split("::")
    if not rest:
        return "start-up, vectors, compiler's helpers"
    if first != ENGINE:
        return first
    # A path of two is an item of the crate's root.
    return f"{ENGINE}::{rest[0]}" if len(rest) > 1 or f"{rest[0]}::" in path else ENGINE


def _sections(elf):
    pattern = re.compile(
        r"\s*\[\s*(\d+)\] (\S+)\s+(\S+)\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+\s+(\w*)")
    for line in _readelf("-SW", elf):
        match = pattern.match(line)
        if match and "A" in match[6]:
            in_ram = int(match[4], 16) >= RAM
            # .data lies in both: its initial values are copied from flash.
            in_flash = match[3] != "NOBITS"
            yield match[1], Section(match[2], int(match[5], 16), in_flash, in_ram)


def _symbols(elf):
    for line in _readelf("-sWC", elf):
        fields = line.split(None, 7)
        if len(fields) == 8 and fields[0][:-1].isdigit():
            _, address, size, kind, _, _, index, name = fields
            yield kind, index, int(address, 16), int(size, 0), name.rstrip("\n")


def _compiler(elf):
    match = re.search(r"rustc version \S+", "\n".join(_readelf("-p", ".comment", elf)))
    return match.group() if match else "an unknown compiler"


def _readelf(*arguments):
    done = subprocess.run(["readelf", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()
