"""Shows why something is in a library: answers to `builder size --why`, `--cut`, `--dominators`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from builder.cli.console import echo, format_bytes, print_table
from builder.core.counts import number_of
from builder.core.setting_fields import Setting

if TYPE_CHECKING:
    from builder.api import Cut, Reason, Reasons, Retained

_MOST_SHOWN = 3
"""Symbols that are explained for one text; the largest come first."""

_ENDS = 10
"""Names at each end of a long list that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What to ask about the symbols of a library."""

    why: Annotated[tuple[str, ...], Setting(placeholder="SYMBOL")] = ()
    """Show why the symbols whose names contain a text are in the library: what refers to them,
    what keeps them, and what they keep."""
    cut: Annotated[tuple[str, ...], Setting(placeholder="REGEX")] = ()
    """Show how many bytes the library would lose without all symbols and units whose names match a
    regular expression."""
    dominators: Annotated[int | None, Setting(least=1)] = None
    """Show the N symbols that alone keep the most bytes in the library."""

    def __bool__(self) -> bool:
        return bool(self.why or self.cut or self.dominators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the library says to the questions."""

    why: tuple[tuple[str, int, tuple[Reason, ...]], ...]
    """For each text: how many symbols have it in their names, and the reasons of the largest."""
    cuts: tuple[Cut, ...]
    dominators: tuple[Retained, ...]
    operators: int
    """How many operators the library has."""


def answer(reasons: Reasons, questions: Questions) -> Answers:
    """Asks the graph of a library."""
    explained = ((text, reasons.explain(text, _MOST_SHOWN)) for text in questions.why)
    return Answers(
        why=tuple((text, count, found) for text, (found, count) in explained),
        cuts=tuple(map(reasons.cut, questions.cut)),
        dominators=reasons.list_retained(questions.dominators) if questions.dominators else (),
        operators=len(reasons.graph.operators),
    )


def describe_answers(answers: Answers) -> dict[str, object]:
    """Returns the answers as fields of the JSON; a question that was not asked has none."""
    shown: dict[str, object] = {}
    if answers.why:
        shown["why"] = [
            {"text": text, "symbols": count, "largest": [asdict(one) for one in found]}
            for text, count, found in answers.why
        ]
    if answers.cuts:
        shown["cut"] = [asdict(cut) for cut in answers.cuts]
    if answers.dominators:
        shown["dominators"] = [asdict(one) for one in answers.dominators]
    return shown


def print_answers(answers: Answers) -> None:
    """Prints a table per answer."""
    for text, count, found in answers.why:
        for reason in found:
            print_table(("why", text), _reason_rows(reason, answers.operators))
            echo()
        if count > len(found):
            echo(f"{number_of(count - len(found), 'more symbol')} with {text} in the name")
            echo()
    for cut in answers.cuts:
        print_table(
            ("cut", cut.pattern),
            (
                ("symbols that match", f"{cut.symbols:,}"),
                ("bytes that would go", format_bytes(cut.bytes)),
            ),
        )
        echo()
        _print_retained("would go", cut.largest)
    if answers.dominators:
        _print_retained("symbol", answers.dominators)


def _reason_rows(reason: Reason, operators: int) -> Iterator[tuple[str, str]]:
    yield "symbol", reason.symbol
    yield "unit", reason.unit
    yield "bytes", format_bytes(reason.bytes)
    yield "bytes with all that only it keeps", format_bytes(reason.retained)
    if operators:
        reaching = f"{len(reason.operators)} of {number_of(operators, 'operator')}"
        yield "wanted by", f"{reaching}{_list_few(reason.operators)}"
    if reason.is_always:
        yield "", "the runtime itself, also without any operator"
    yield from _stack("shortest path", reason.path)
    yield from _stack("on every path", reason.keepers)
    yield from _stack("referred to by", reason.users)
    if reason.user_count > len(reason.users):
        yield "", f"and {reason.user_count - len(reason.users):,} more"


def _list_few(operators: tuple[str, ...]) -> str:
    few = operators[:_MOST_SHOWN]
    more = ", ..." if len(operators) > len(few) else ""
    return f": {', '.join(few)}{more}" if few else ""


def _stack(title: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if len(names) > 2 * _ENDS:
        left_out = f"... {len(names) - 2 * _ENDS:,} more ..."
        names = (*names[:_ENDS], left_out, *names[-_ENDS:])
    yield from zip((title, *[""] * (len(names) - 1)), names or ("nothing",), strict=True)


def _print_retained(title: str, symbols: tuple[Retained, ...]) -> None:
    print_table(
        (title, "bytes", "retained", "unit"),
        (
            (one.symbol, format_bytes(one.bytes), format_bytes(one.retained), one.unit)
            for one in symbols
        ),
    )
    echo()
