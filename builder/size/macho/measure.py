"""Measures an image that was linked from a static library for Apple's platforms."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.core.artifacts import SizeReport
from builder.errors import ConfigurationError
from builder.formats.macho import ZERO_FILL, read_macho
from builder.size.measure import LINKER_PART, WHOLE_PART, name_unit, sum_parts

_FILE = re.compile(r"^\[ *(\d+)\] (.+)$")
_BITCODE = ".bc"
"""End of the names of merged objects; linkers name some of them as the owners of exports."""
# Address, size, number of the file and name, with tabs between the first three.
_SYMBOL = re.compile(r"^0x([0-9A-Fa-f]+)\t0x([0-9A-Fa-f]+)\t\[ *(\d+)\] (.*)$")


@dataclass(frozen=True, slots=True)
class Atom:
    """A symbol of the image, from a map of Apple's linker or of lld for Mach-O."""

    owner: str
    """Path of its object; empty when the linker made the symbol."""
    name: str
    size: int
    """Bytes, also for zero-filled memory."""
    address: int = 0
    was_bitcode: bool = False
    """Whether link-time optimisation merged its object with others, so the code is from there."""


def parse_macho_map(text: str) -> list[Atom]:
    """Returns the symbols that the linker kept, in the order of the map."""
    files: dict[str, str] = {}
    bitcode: set[str] = set()
    atoms: list[Atom] = []
    # Behind this line, Apple's map lists the symbols that were removed.
    live = text.partition("# Dead Stripped Symbols:")[0]
    for line in live.splitlines():
        if match := _SYMBOL.match(line):
            size, owner = int(match[2], 16), files.get(match[3], "")
            address, was_bitcode = int(match[1], 16), match[3] in bitcode
            atoms.append(Atom(owner, match[4], size, address, was_bitcode))
        elif match := _FILE.match(line):
            if match[2].endswith(_BITCODE):
                bitcode.add(match[1])
            # Entries such as `linker synthesized` are no paths.
            files[match[1]] = match[2].removesuffix(_BITCODE) if match[2].startswith("/") else ""
    return atoms


def measure_image(
    image: Path, map_file: Path, objects: Path, *, units_map: Path | None = None
) -> SizeReport:
    """Returns the sizes of `image` and of its sections, parts and units.

    Args:
        image: stripped image of a link that removed unused code.
        map_file: map of that link.
        objects: folder of the objects.
        units_map: see `LinkResult.units_map`; owners of symbols are looked up there.

    Raises:
        ConfigurationError: `image` is not a Mach-O file.
    """
    data = image.read_bytes()
    try:
        sections = read_macho(data).sections
    except ValueError as error:
        raise ConfigurationError(f"{image}: {error}") from error
    sizes = {f"{s.segment},{s.name}": s.size for s in sections if s.kind not in ZERO_FILL}
    sizes["headers and padding"] = len(data) - sum(sizes.values())
    units = _sum_units(map_file, objects, units_map)
    # Atoms leave out padding, headers and tables; zero-filled ones may even make the sum too large.
    units[LINKER_PART] += len(data) - sum(units.values())
    return SizeReport(
        file=len(data),
        compressed=len(zlib.compress(data, 9)),
        sections=sizes,
        parts=sum_parts(units),
        units=dict(units),
    )


def list_units(atoms: Sequence[Atom], objects: Path, units_map: Path | None) -> list[str]:
    """Returns for each atom the unit, or the part of the library, that it comes from.

    Args:
        atoms: the symbols of a map.
        objects: folder of the objects.
        units_map: see `LinkResult.units_map`; owners of symbols are looked up there.
    """
    owners: dict[str, str] = {}
    if units_map is not None:
        before = parse_macho_map(units_map.read_text(errors="replace"))
        owners = {atom.name: atom.owner for atom in before}

    def name(atom: Atom) -> str:
        owner = atom.owner
        # Such an owner is the merged object; the map without optimisation tells the unit by the
        # name.
        if owner and not Path(owner).is_relative_to(objects):
            owner = owners.get(atom.name, owner)
        if owner and Path(owner).is_relative_to(objects):
            return name_unit(owner, objects)
        return WHOLE_PART if owner else LINKER_PART

    return [name(atom) for atom in atoms]


def _sum_units(map_file: Path, objects: Path, units_map: Path | None) -> Counter[str]:
    atoms = parse_macho_map(map_file.read_text(errors="replace"))
    units: Counter[str] = Counter()
    for atom, unit in zip(atoms, list_units(atoms, objects, units_map), strict=True):
        units[unit] += atom.size
    return units
