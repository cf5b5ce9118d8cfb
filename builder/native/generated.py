"""torchgen's operator code as pieces, so that a build compiles those it reaches and no others.

torchgen writes all operators into a dozen files, of 100,000 lines together, that depend on no
operator list. They are read as text here. Pieces that belong together (the overloads of a function,
the wrappers and classes it is made of) form a group; a group is what the chooser asks for, by its
id, as it asks for translation units. `GeneratedCode.cut` writes groups out as one source.

The text decides nothing: a piece that is missed is an error of the compiler or the linker.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = "aten/src/ATen"
"""Of upstream's binary folder."""
_FILES = re.compile(
    r"Operators_\d+\.cpp"
    r"|Register(CPU|QuantizedCPU|Composite(Explicit|Implicit)Autograd(NonFunctional)?)\.cpp"
)
_NAMESPACE = re.compile(r"namespace (\w*) ?\{")
# Braces in strings and comments would change the depth at which a piece ends.
_NEUTRAL = re.compile(r'"(?:[^"\\]|\\.)*"|//.*')
"""Text whose braces do not count."""
_NAME = re.compile(r"struct (\w+)|.*?([\w:]+)\s*\(")
_DROPPED = ("TORCH_LIBRARY", "C10_DIAGNOSTIC")
_OWN = re.compile(r"wrapper_|structured_|create_.+_typed_handle$")
"""Local pieces that belong to one operator; the others are helpers of a whole file."""
_QUALIFIED = re.compile(r"\bat::(?:\w+::)*\w+")
_IN_PLACE = re.compile(r"__i([a-z]+)__")
"""`__ior__`: the in-place form of `__or__`, whose headers are called `or`."""
_WORD = re.compile(r"\w+")
_INCLUDE = re.compile(r"^#include (<.+>)$", re.MULTILINE)
_UNWANTED = re.compile(r"<(torch/library|ATen/(Operators|\w*Functions|ops/.*))\.h>")
"""Headers for registering, of all operators, and of single ones."""
_HEADER = re.compile(r"(\w+?)(?:_(?:native|ops|[a-z]+_dispatch))?\.h")
"""Headers of one operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One function or class."""

    namespaces: tuple[str, ...]
    """From the outside in; an anonymous one is empty."""
    name: str
    text: str

    @property
    def local(self) -> bool:
        """True when other files cannot refer to it."""
        return "" in self.namespaces or self.text.startswith("static ")

    @property
    def helper(self) -> bool:
        """True for what many operators of a file use."""
        return self.local and not _OWN.match(self.name)

    @property
    def qualified_name(self) -> str:
        """As in the messages of a linker."""
        return "::".join((*self.namespaces, self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Pieces that are compiled together."""

    pieces: tuple[Piece, ...]
    """In the order of their file; helpers among them may belong to other groups too."""

    @property
    def defines(self) -> list[str]:
        """Qualified names that other files refer to; sorted."""
        return sorted({piece.qualified_name for piece in self.pieces if not piece.local})

    @property
    def mentions(self) -> frozenset[str]:
        """Qualified names in the text."""
        found = (_QUALIFIED.findall(piece.text) for piece in self.pieces)
        return frozenset(name for names in found for name in names)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where its functions are."""
        return next(piece.namespaces for piece in self.pieces if not piece.local)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A source with some groups."""

    text: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedCode:
    """All groups of a configuration."""

    groups: Mapping[str, Group]
    """By id: the first qualified name that a group defines."""
    defined_in: Mapping[str, str]
    """Qualified name -> id of its group."""
    includes: tuple[str, ...] = ()
    """What the sources include besides headers of single operators."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Operator, without underscores around it -> file names of its headers."""

    def cut(self, wanted: Iterable[str], done: Collection[str] = frozenset()) -> Slice:
        # Groups call each other through static dispatch, so one round brings the whole chain.
        """Returns the source of `wanted` groups and those they mention, without those `done`."""
        chosen: set[str] = set()
        waiting = set(wanted) - set(done)
        while waiting:
            group = waiting.pop()
            chosen.add(group)
            mentioned = {self.defined_in.get(name) for name in self.groups[group].mentions}
            waiting |= {g for g in mentioned if g is not None} - chosen - set(done)
        return Slice(text=self.render(sorted(chosen)), groups=frozenset(chosen))

    def render(self, chosen: Sequence[str]) -> str:
        """Returns the source of `chosen` groups alone."""
        groups = [self.groups[group] for group in chosen]
        names = {name for group in groups for name in (*group.mentions, *group.defines)}
        # Headers are found by the words of names, so a few more are included than needed.
        operators = {run for name in names for part in name.split("::") for run in _runs(part)}
        headers = sorted(h for operator in operators for h in self.headers.get(operator, ()))
        lines = [f"#include {name}" for name in self.includes]
        # One header per operator: the headers of all operators take most of the time of a
        # compilation.
        lines += [f"#include <ATen/ops/{header}>" for header in headers]
        # Local pieces go into the namespace of their group: files have helpers of the same name.
        # A dict and not a set: the order of the files is kept, so equal groups give equal bytes.
        blocks = {
            (group.namespaces, "" in piece.namespaces, piece.text): None
            for group in groups
            for piece in group.pieces
        }
        for namespaces, anonymous, text in blocks:
            opened = [*(f"{name} " for name in namespaces), *([""] if anonymous else [])]
            lines.append(" ".join(f"namespace {name}{{" for name in opened))
            lines += [text, "}" * len(opened)]
        return "\n".join(lines) + "\n"


def _runs(name: str) -> Iterator[str]:
    """Yields what an operator may be called from whose name one of C++ is made."""
    # C++ spells the in-place operators with two underscores, the headers without.
    if in_place := _IN_PLACE.search(name):
        yield in_place[1]
    words = [word for word in name.split("_") if word]
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            yield "_".join(words[start:end])


def read_generated(folder: Path) -> GeneratedCode:
    """Reads torchgen's sources and the names of its headers in upstream's binary folder."""
    groups: dict[str, Group] = {}
    includes: dict[str, None] = {}
    # Sorted, so that the order of includes is the same on every machine.
    for source in sorted((folder / FOLDER).iterdir()):
        if not _FILES.fullmatch(source.name):
            continue
        text = source.read_text()
        includes |= dict.fromkeys(i for i in _INCLUDE.findall(text) if not _UNWANTED.fullmatch(i))
        groups |= {group.defines[0]: group for group in group_pieces(read_pieces(text))}
    headers: dict[str, tuple[str, ...]] = {}
    # Several headers belong to one operator: functions, native functions, and one per backend.
    for header in sorted(path.name for path in (folder / FOLDER / "ops").iterdir()):
        if match := _HEADER.fullmatch(header):
            operator = match[1].strip("_")
            headers[operator] = (*headers.get(operator, ()), header)
    return GeneratedCode(
        groups=groups,
        defined_in={name: id_ for id_, group in groups.items() for name in group.defines},
        includes=tuple(includes),
        headers=headers,
    )


def is_cut(name: str) -> bool:
    """Says whether the torchgen source called `name` is compiled in slices only."""
    return _FILES.fullmatch(name) is not None


def read_pieces(text: str) -> Iterator[Piece]:
    """Yields what stands in the namespaces of one of torchgen's sources, in order."""
    namespaces: list[str] = []
    lines: list[str] = []
    depth = 0
    for line in text.splitlines():
        bare = _NEUTRAL.sub("", line).strip()
        if not lines:
            opened = _NAMESPACE.findall(bare)
            namespaces += opened
            if bare.startswith("}"):
                # One line may close several namespaces.
                del namespaces[len(namespaces) - bare.count("}") :]
            # Nothing outside of a namespace is an operator: includes and macros.
            if opened or not bare or bare.startswith("}") or not namespaces:
                continue
        lines.append(line)
        depth += bare.count("{") - bare.count("}")
        # Parentheses end macros that stand alone; a function's signature goes on with a brace.
        if depth == 0 and bare.endswith(("}", ";", ")")):
            whole = "\n".join(lines)
            lines.clear()
            found = _NAME.match(whole)
            if found and not whole.startswith(_DROPPED):
                yield Piece(namespaces=tuple(namespaces), name=found[1] or found[2], text=whole)


def group_pieces(pieces: Iterable[Piece]) -> Iterator[Group]:
    """Yields the groups of one file's pieces."""
    listed = tuple(pieces)
    local: dict[str, list[int]] = {}
    for index, piece in enumerate(listed):
        if piece.local:
            local.setdefault(piece.name, []).append(index)
    needs = [
        {other for word in set(_WORD.findall(piece.text)) for other in local.get(word, ())}
        for piece in listed
    ]
    for members in _join(listed, needs):
        wanted = members.union(*(needs[index] for index in members))
        wanted = wanted.union(*(needs[index] for index in wanted))
        group = Group(pieces=tuple(listed[index] for index in sorted(wanted)))
        # Helpers alone define nothing that another file could ask for.
        if group.defines:
            yield group


def _join(pieces: Sequence[Piece], needs: Sequence[Collection[int]]) -> Iterable[set[int]]:
    """Returns the indices of pieces that share a name, or a local piece of their own."""
    group_of: dict[int, set[int]] = {}
    first: dict[str, int] = {}
    for index, piece in enumerate(pieces):
        # A helper that everybody uses would join all groups of its file into one.
        if piece.helper:
            continue
        partners = {other for other in needs[index] if not pieces[other].helper}
        if not piece.local:
            partners.add(first.setdefault(piece.qualified_name, index))
        # A union of the groups of all partners; every member then points to the same set.
        merged = {index}.union(*(group_of.get(other, {other}) for other in partners))
        group_of |= dict.fromkeys(merged, merged)
    # The same set stands at each of its members, so it is told apart by identity.
    return {id(group): group for group in group_of.values()}.values()
