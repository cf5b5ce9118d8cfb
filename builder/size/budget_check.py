"""Compares the size of a runtime with its budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from builder.core.artifacts import SizeReport
from builder.core.budgets import Budgets, Growth, find_budget
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError

_MEASURED = ("the size", "the compressed size")
_SHOWN = 5
"""Operators that the message lists."""


def refuse_excess(
    report: SizeReport,
    budgets: Budgets,
    *,
    abi: str,
    root: Path,
    savings: Sequence[Hint] = (),
) -> None:
    """Raises VerificationError when the runtime at `root` is larger than a budget allows.

    The hint has `savings`, what would make the library smaller.
    """
    excesses = find_excesses(report.file, report.compressed, budgets, abi=abi)
    if excesses:
        lines = [f"the runtime for {abi} at {root} is too large:", *excesses, *_dearest(report)]
        raise VerificationError("\n".join(lines), hint=_hint(report, root, savings))


def refuse_package_excess(
    measured: Mapping[str, tuple[int, int]], budgets: Budgets, *, path: Path
) -> None:
    """Raises VerificationError when the libraries of an ABI are larger than a budget allows.

    Args:
        measured: ABI -> bytes of its libraries, and bytes when they are compressed.
        budgets: the size limits.
        path: path of the package.
    """
    lines = [
        f"{abi}: {excess}"
        for abi, (file, compressed) in measured.items()
        for excess in find_excesses(file, compressed, budgets, abi=abi)
    ]
    if lines:
        raise VerificationError(
            "\n".join((f"the libraries in {path} are too large:", *lines)),
            hint=Hint(Run("size", (str(path),))),
        )


def refuse_growth(
    now: Mapping[str, tuple[int, int]],
    before: Mapping[str, tuple[int, int]],
    growth: Growth,
    *,
    path: Path,
    has_operators: bool = True,
) -> None:
    """Raises VerificationError when a library grew by more than `growth` since it was measured.

    Args:
        now: ABI -> bytes of its libraries, and bytes when they are compressed.
        before: the same of an earlier build; ABIs that only one of both has are not compared.
        growth: how much either number may grow.
        path: path of the runtime or package.
        has_operators: whether its sizes are known by operator, as those of a runtime are.

    Raises:
        ConfigurationError: they have no ABI in common, so nothing would be compared.
    """
    common = [abi for abi in now if abi in before]
    if not common:
        raise ConfigurationError(
            f"{path} is for {', '.join(now)}, and what it is compared with for "
            f"{', '.join(before)}, so no growth can be measured"
        )
    lines = [
        f"  {abi}: {line}" for abi in common for line in find_growth(now[abi], before[abi], growth)
    ]
    if lines:
        by_operator = (Use("operators", True),) if has_operators else ()
        raise VerificationError(
            "\n".join((f"the libraries of {path} grew too much:", *lines)),
            hint=Hint("see what grew: ", Run("size", (str(path), *by_operator))),
        )


def find_growth(now: tuple[int, int], before: tuple[int, int], growth: Growth) -> list[str]:
    """Returns one sentence for each number that grew by more than is allowed.

    Both are bytes, and bytes when they are compressed.
    """
    return [
        f"{what} grew from {old:,} to {new:,} bytes, {excess:,} more than {growth.text} allows"
        for what, new, old in zip(_MEASURED, now, before, strict=True)
        if (excess := growth.find_excess(new, old))
    ]


def find_excesses(file: int, compressed: int, budgets: Budgets, *, abi: str) -> list[str]:
    """Returns one sentence for each budget that is exceeded; sizes are in bytes."""
    measured = (
        ("the limit", file, budgets.max_size),
        ("the compressed limit", compressed, budgets.max_compressed),
    )
    return [
        f"{size:,} bytes are {size - budget.limit:,} more than {what} {budget.text} allows"
        for what, size, listed in measured
        # Exactly as large as the budget is still within it.
        if (budget := find_budget(listed, abi)) is not None and size > budget.limit
    ]


def find_dearest(report: SizeReport, count: int) -> list[str]:
    """Returns the `count` operators with the most exclusive bytes, dearest first."""
    prices = report.operators
    return sorted(prices, key=lambda name: (-prices[name].exclusive, name))[:count]


def _dearest(report: SizeReport) -> Iterable[str]:
    names = find_dearest(report, _SHOWN)
    if names:
        yield "bytes that the library would lose without an operator:"
    for name in names:
        yield f"  {report.operators[name].exclusive:>11,}  {name}"


def _hint(report: SizeReport, root: Path, savings: Sequence[Hint]) -> Hint:
    removed = (Use("removed", name) for name in find_dearest(report, 1))
    measure = Run("size", (str(root), *removed))
    if not savings:
        return Hint(measure)
    lines = [part for one in savings for part in ("\n", one)]
    return Hint("what makes the library smaller:", *lines, "\nprices of operators: ", measure)
