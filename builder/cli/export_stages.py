"""Prints the stages of an export on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from builder.cli.comparison import differences_json
from builder.cli.console import echo, format_bytes, print_table
from builder.cli.hints import show_hint
from builder.core.differences import BY_SHAPE
from builder.core.stages import Agreement, Stage


def print_stages(stages: Iterable[Stage]) -> None:
    """Prints one line per stage, and the remarks on stages below the table."""
    rows = tuple(stages)
    # The column is left out where it would be empty for every stage.
    classifier = any(stage.agreement for stage in rows)
    header = ("stage", "bytes", "ms", "against", "max abs", "max rel")
    print_table(
        (*header, *(("same class",) if classifier else ()), "verdict"),
        (tuple(_cells(stage, classifier=classifier)) for stage in rows),
    )
    echo(
        "(ms: the fastest call on this machine with one thread; eager and quantised run in Python, "
        "the other stages are lite files that torch's lite interpreter runs)"
    )
    for stage in rows:
        if stage.remark:
            echo(f"{stage.name}: {show_hint(stage.remark, 'export')}")


def stages_json(stages: Iterable[Stage]) -> list[dict[str, object]]:
    """Returns the stages as values for JSON."""
    return [
        {
            "against": stage.against or None,
            "agreement": _agreement_json(stage.agreement),
            "judged": stage.judged,
            "name": stage.name,
            "ok": stage.ok,
            "outputs": differences_json(stage.differences),
            "remark": show_hint(stage.remark, "export"),
            "seconds": stage.seconds,
            "size": stage.size,
        }
        for stage in stages
    ]


def _cells(stage: Stage, *, classifier: bool) -> Iterator[str]:
    yield stage.name
    yield format_bytes(stage.size) if stage.size else "-"  # a frozen model has no parameters
    yield "-" if stage.seconds is None else f"{stage.seconds * 1000:.1f}"
    yield stage.against or "-"
    yield _format(stage.max_absolute)
    yield _format(stage.max_relative)
    if classifier:
        yield f"{stage.agreement.same} of {stage.agreement.rows}" if stage.agreement else "-"
    yield _verdict(stage)


def _verdict(stage: Stage) -> str:
    if stage.seconds is None:
        return "not run"
    if not stage.against:
        return "-"
    if not stage.judged:
        return "for information"
    # A model that draws random numbers can only be compared by shape, which must not look like a
    # full comparison.
    if stage.ok and any(one.problem == BY_SHAPE for one in stage.differences):
        return "by shape"
    return "ok" if stage.ok else "differs"


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _agreement_json(agreement: Agreement | None) -> dict[str, int] | None:
    return None if agreement is None else {"rows": agreement.rows, "same": agreement.same}
