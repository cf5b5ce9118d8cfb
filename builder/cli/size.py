"""`builder size`: shows the size of a runtime, its parts and its operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import click

from builder import api
from builder.cli.aar_sizes import aar_sizes_json, print_aar_sizes
from builder.cli.apple import print_slices, slices_json
from builder.cli.console import (
    echo,
    format_bytes,
    print_json,
    print_table,
    printing_json,
    printing_markdown,
)
from builder.cli.gates import refuse_idle_budgets
from builder.cli.settings_options import settings_options
from builder.cli.size_reasons import Questions, answer, describe_answers, print_answers
from builder.core.budgets import Budgets, Growth
from builder.core.counts import number_of
from builder.core.setting_fields import Setting, Text
from builder.system.files import write_atomically
from builder.system.outputs import writing_file

if TYPE_CHECKING:
    from builder.api import MeasuredRuntime
    from builder.core.artifacts import SizeReport
    from builder.platforms.android.sizes import AarSizes
    from builder.platforms.apple.manifest import XcframeworkManifest

Pairs = Mapping[str, tuple[int, int]]
"""ABI -> bytes of its libraries, and bytes when they are compressed."""
_Measured = TypeVar("_Measured")
_TOTAL = "file"
_OPERATORS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeOptions:
    """What to measure and what to show of it."""

    runtime: Path
    """The output folder of a build, the folder of one ABI in it, an AAR or an xcframework."""
    against: Path | None = None
    """Another built runtime or package to compare with, what `builder size --json` printed for
    one, or the report.json of a release."""
    max_growth: Annotated[Text[Growth] | None, Setting(placeholder="PERCENT|SIZE")] = None
    """With `against`: exit with code 8 if the size or the compressed size of an ABI's libraries
    grew by more, e.g. 2% or 20KB."""
    units: Annotated[int | None, Setting(least=1)] = None
    """Also show the N largest translation units."""
    operators: bool = False
    """Show all operators, not only the 10 largest."""
    removed: Annotated[tuple[str, ...], Setting(placeholder="OPERATOR")] = ()
    """Show how many bytes the library would lose without these operators together."""
    questions: Annotated[Questions, Setting(inline=True)] = field(default_factory=Questions)
    budgets: Budgets = field(default_factory=Budgets)
    html: Annotated[Path | None, Setting(path="new file")] = None
    """Also write an HTML page with a treemap; the page does not need the network."""


@click.command("size")
@settings_options(SizeOptions, "options")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(options: SizeOptions, as_markdown: bool, as_json: bool) -> None:
    """Shows the stripped size of a built runtime, and the bytes of its parts and operators.

    For an AAR, from builder or anybody else: shows the files that a device of each ABI receives,
    uncompressed and compressed, and an estimate of how much the download of an app grows. Budgets
    apply to the libraries of an ABI. For an xcframework that builder wrote: shows what each ABI
    adds to an app.

    The exclusive bytes of an operator are those that the library would lose without it; code that
    it shares with other operators is not counted. The inclusive bytes are those of all code that
    the operator reaches. If a budget is exceeded, the exit code is 8.

    --why, --cut and --dominators also take an unstripped ELF library that was linked with
    --emit-relocs, whoever linked it.

    \b
    Examples:
      builder size out
      builder size out --against out-before --units 20
      builder size out --against release-1.3.json --max-growth 2%
      builder size out --against release-1.3/report.json --markdown
      builder size out --what-if aten::einsum --what-if aten::cumsum
      builder size out --max-size 2.5MB --max-compressed 1MiB
      builder size out/linux-x86_64 --html size.html
      builder size out --why std::basic_ostream --dominators 20
      builder size out --cut '^std::' --cut 'ATen/native/.*Pool'
      builder size libapp.so --why inflate
      builder size pytorch_android_lite-2.6.0-1.aar --against pytorch_android_lite-2.1.0.aar
    """
    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown exclude each other")
    with printing_markdown(wanted=as_markdown):
        _answer(options, as_json=as_json)


def _answer(options: SizeOptions, *, as_json: bool) -> None:
    runtime, budgets = options.runtime, options.budgets
    if options.questions:
        _answer_questions(options, as_json=as_json)
        return
    if api.is_library(runtime):
        raise click.UsageError(
            f"{runtime} is a library alone: only --why, --cut and --dominators apply to it; sizes "
            "need the output folder of a build"
        )
    beside = options.units or options.operators or options.against
    # The answer is one line about a set of operators, and tables around it would hide it.
    if options.removed and not as_json and beside:
        raise click.UsageError(
            "--what-if can be combined with --against, --units or --operators only with --json"
        )
    if options.max_growth and options.against is None:
        raise click.UsageError("--max-growth has no effect without --against")
    aar = api.measure_aar(runtime)
    # One path may hold an AAR, an xcframework or a runtime; the first that is there counts.
    slices = None if aar else api.measure_xcframework(runtime)
    inside = options.units or options.operators or options.removed or options.html
    if (aar or slices) and inside:
        what = "an AAR" if aar else "an xcframework; name the folder of an ABI"
        raise click.UsageError(f"--units, --operators, --what-if and --html do not apply to {what}")
    if aar is not None:
        refuse_idle_budgets(budgets, sorted(aar.libraries))
        other_aar = _find_other_aar(options.against)
        with _answering(_describe_aar(aar, other_aar), as_json=as_json):
            if not as_json:
                print_aar_sizes(aar, other_aar)
            _refuse_growth(options, _pair_aar, aar, other_aar)
            api.refuse_aar_excess(aar, budgets, path=runtime)
    elif slices is not None:
        refuse_idle_budgets(budgets, sorted(slices.slices))
        other_slices = _find_other_slices(options.against)
        with _answering(_describe_slices(slices, other_slices), as_json=as_json):
            if not as_json:
                print_slices(slices, other_slices)
            _refuse_growth(options, _pair_slices, slices, other_slices)
            api.refuse_slice_excess(slices, budgets, path=runtime)
    else:
        _answer_runtime(options, as_json=as_json)


def _answer_questions(options: SizeOptions, *, as_json: bool) -> None:
    others = replace(options, questions=Questions()) != SizeOptions(runtime=options.runtime)
    if others:
        raise click.UsageError(
            "--why, --cut and --dominators cannot be combined with other questions about sizes"
        )
    runtime = options.runtime
    if api.measure_aar(runtime) or api.measure_xcframework(runtime):
        raise click.UsageError(
            "--why, --cut and --dominators need the folder of an ABI, and this is a package"
        )
    answers = answer(api.read_reasons(runtime), options.questions)
    if as_json:
        print_json("size", describe_answers(answers))
    else:
        print_answers(answers)


def _answer_runtime(options: SizeOptions, *, as_json: bool) -> None:
    measured = api.size(options.runtime)
    refuse_idle_budgets(options.budgets, [measured.abi])
    # The page is written first: a budget that is exceeded ends the command, and the page shows why.
    if options.html is not None:
        _write_page(options.html, measured)
    against = options.against
    before = None if against is None else api.size_before(against, measured.abi)
    # `--what-if -aten::add` is accepted as well.
    gone = tuple(operator.removeprefix("-") for operator in options.removed)
    saved = api.price_set(measured, gone) if gone else None
    with _answering(_describe_runtime(measured, before, gone, saved), as_json=as_json):
        if not as_json:
            _print_runtime(measured, before, options, gone, saved)
        _refuse_growth(options, _pair_runtime, measured, before)
        api.refuse_excess(measured.report, options.budgets, abi=measured.abi, root=measured.root)


@contextmanager
def _answering(answer: Mapping[str, object], *, as_json: bool) -> Iterator[None]:
    """Prints the answer as JSON after the checks in the block, if it is wanted."""
    with printing_json("size", answer) if as_json else nullcontext():
        yield


def _write_page(html: Path, measured: MeasuredRuntime) -> None:
    api.refuse_page(html)
    page = api.render_size_page(measured)
    with writing_file(html):
        write_atomically(html, page)


def _refuse_growth(
    options: SizeOptions,
    pair: Callable[[_Measured], Pairs],
    now: _Measured,
    before: _Measured | None,
) -> None:
    if options.max_growth and before is not None:
        api.refuse_growth(
            *(pair(now), pair(before), options.max_growth),
            path=options.runtime,
            has_operators=pair is _pair_runtime,
        )


def _pair_runtime(measured: MeasuredRuntime) -> Pairs:
    return {measured.abi: (measured.report.file, measured.report.compressed)}


def _pair_aar(sizes: AarSizes) -> Pairs:
    return sizes.totals


def _pair_slices(manifest: XcframeworkManifest) -> Pairs:
    return {abi: (one.linked, one.compressed) for abi, one in manifest.slices.items()}


def _describe_runtime(
    measured: MeasuredRuntime,
    before: MeasuredRuntime | None,
    gone: tuple[str, ...],
    saved: int | None,
) -> dict[str, object]:
    shown: dict[str, object] = {"abi": measured.abi, "runtime": asdict(measured.report)}
    if before is not None:
        shown["against"] = asdict(before.report)
    if saved is not None:
        shown["what_if"] = {"bytes": saved, "operators": sorted(set(gone))}
    return shown


def _print_runtime(
    measured: MeasuredRuntime,
    before: MeasuredRuntime | None,
    options: SizeOptions,
    gone: tuple[str, ...],
    saved: int | None,
) -> None:
    if saved is not None:
        _print_what_if(measured.report, gone, saved)
        return
    other = None if before is None else before.report
    for title, sizes, earlier in _tables(measured.report, other, options.units):
        _print(title, sizes, earlier)
    _print_operators(measured.report, other, None if options.operators else _OPERATORS)


def _find_other_slices(against: Path | None) -> XcframeworkManifest | None:
    other = None if against is None else api.measure_xcframework(against)
    if against is not None and other is None:
        raise click.UsageError(
            f"{against} is not an xcframework, so it cannot be compared with one"
        )
    return other


def _describe_slices(
    slices: XcframeworkManifest, other: XcframeworkManifest | None
) -> dict[str, object]:
    shown: dict[str, object] = {"xcframework": slices_json(slices)}
    return shown if other is None else shown | {"against": slices_json(other)}


def _find_other_aar(against: Path | None) -> AarSizes | None:
    other = None if against is None else api.aar_before(against)
    if against is not None and other is None:
        raise click.UsageError(f"{against} is not an AAR, so it cannot be compared with one")
    return other


def _describe_aar(sizes: AarSizes, other: AarSizes | None) -> dict[str, object]:
    shown: dict[str, object] = {"aar": aar_sizes_json(sizes)}
    return shown if other is None else shown | {"against": aar_sizes_json(other)}


def _tables(
    report: SizeReport, other: SizeReport | None, units: int | None
) -> list[tuple[str, Mapping[str, int], Mapping[str, int] | None]]:
    whole = {_TOTAL: report.file, "compressed": report.compressed}
    before = None if other is None else {_TOTAL: other.file, "compressed": other.compressed}
    tables = [
        ("library", whole, before),
        ("part", report.parts, other.parts if other else None),
        ("section", report.sections, other.sections if other else None),
    ]
    if units is not None:
        # The name decides between equal sizes, so that the output does not depend on the order in a
        # file.
        largest = sorted(report.units, key=lambda unit: (-report.units[unit], unit))[:units]
        chosen = {unit: report.units[unit] for unit in largest}
        tables.append(("unit", chosen, other.units if other else None))
    return [*tables]


def _print(title: str, sizes: Mapping[str, int], before: Mapping[str, int] | None) -> None:
    # The N largest units were asked for. The other report has thousands more.
    names = sorted(set(sizes) | set(before or ()) if title != "unit" else set(sizes))
    names.sort(key=lambda name: -sizes.get(name, 0))
    if before is None:
        print_table((title, "bytes"), ((name, format_bytes(sizes[name])) for name in names))
    else:
        print_table(
            (title, "bytes", "against", "difference"),
            (_compare(name, sizes.get(name, 0), before.get(name, 0)) for name in names),
        )
    echo()


def _print_operators(report: SizeReport, other: SizeReport | None, count: int | None) -> None:
    prices = {name: price.exclusive for name, price in report.operators.items()}
    before = {name: price.exclusive for name, price in other.operators.items()} if other else {}
    # An operator that one of both does not have is often the reason for the difference.
    names = sorted({*prices, *before}, key=lambda n: (-max(prices.get(n, 0), before.get(n, 0)), n))
    if not names:
        return
    if other is not None:
        rows = (_compare(name, prices.get(name, 0), before.get(name, 0)) for name in names[:count])
        print_table(("operator", "exclusive", "against", "difference"), rows)
    else:
        listed = ((name, report.operators[name]) for name in names[:count])
        print_table(
            ("operator", "exclusive", "inclusive", "wanted by"),
            (
                (name, format_bytes(p.exclusive), format_bytes(p.inclusive), ", ".join(p.models))
                for name, p in listed
            ),
        )
    if count is not None and len(names) > count:
        echo(f"{number_of(len(names) - count, 'more operator')}: --operators shows all")


def _print_what_if(report: SizeReport, gone: tuple[str, ...], saved: int) -> None:
    rows = [(f"without {', '.join(sorted(set(gone)))}", format_bytes(report.file - saved))]
    print_table(
        ("library", "bytes"),
        [(_TOTAL, format_bytes(report.file)), *rows, ("difference", f"{-saved:+,}")],
    )


def _compare(name: str, now: int, before: int) -> tuple[str, str, str, str]:
    return (name, format_bytes(now), format_bytes(before), f"{now - before:+,}")
