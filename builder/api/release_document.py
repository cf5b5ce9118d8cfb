"""The report of a release for people: what passed, how large it is, what grew and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from builder.api.release_report import Compared, Outcome, ReleasedLibrary, ReleaseReport
from builder.core.artifacts import SizeReport
from builder.core.budgets import Budget
from builder.core.counts import number_of
from builder.formats.documents import Document, Section, Table

_SHOWN = 15
"""Rows of a table of operators or of parts."""
_MARKS = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.SKIPPED: "skipped"}


def describe_release(report: ReleaseReport, title: str = "") -> Document:
    """Returns the report as a document; `title` says which release it is."""
    failed = [str(one.gate) for one in report.gates if one.outcome is Outcome.FAILED]
    verdict = f"failed: {', '.join(failed)}" if failed else "passed"
    return Document(
        title=f"{title or 'Release'}: {verdict}",
        sentences=tuple(_introduce(report)),
        sections=(
            *_describe_sizes(report),
            *_describe_changes(report.libraries),
            _describe_gates(report),
            *_describe_runs(report),
            *_describe_files(report),
        ),
    )


def describe_growth(libraries: Sequence[Compared]) -> str:
    """Returns in one sentence how the libraries changed; nothing without an earlier release."""
    known = [one for one in libraries if one.before is not None]
    if not known:
        return ""
    now = sum(one.library.size.file for one in known)
    before = sum(one.before.size.file for one in known if one.before)
    if now == before:
        return "The size of the libraries is the same as in the last release."
    verb = "grew" if now > before else "shrank"
    return (
        f"The libraries {verb} by {abs(now - before):,} bytes "
        f"({_share(now, before)}) since the last release."
    )


def _introduce(report: ReleaseReport) -> Iterator[str]:
    if sentence := describe_growth(report.libraries):
        yield sentence
    if report.libraries:
        yield (
            f"Compared with {report.against}."
            if report.against
            else "There is no earlier release to compare with."
        )


def _describe_sizes(report: ReleaseReport) -> Iterator[Section]:
    if not report.libraries:
        return
    header: tuple[str, ...] = (
        "library",
        "bytes",
        "before",
        "change",
        "",
        "compressed",
        "before",
        "change",
    )
    rows = [_size_row(one) for one in report.libraries]
    limits = {one.library.key: tuple(_list_limits(one)) for one in report.libraries}
    if any(limits.values()):
        header = (*header, "budgets")
        rows = [
            (*row, "\n".join(limits[one.library.key]))
            for row, one in zip(rows, report.libraries, strict=True)
        ]
    yield Section(
        title="Size by ABI",
        sentences=tuple(_describe_limits(report)),
        table=Table(header=header, rows=tuple(rows)),
    )


def _describe_limits(report: ReleaseReport) -> Iterator[str]:
    """Yields how much libraries may grow; one sentence where it is the same for all."""
    growths = {one.library.product: one.growth for one in report.libraries}
    allowed = {growth.text if growth else "" for growth in growths.values()}
    if len(allowed) == 1:
        if text := allowed.pop():
            yield f"A library may grow by {text} between releases."
        return
    for product, growth in growths.items():
        if growth:
            yield f"Between releases, a library of {product} may grow by {growth.text}."


def _size_row(one: Compared) -> tuple[str, ...]:
    size, before = one.library.size, one.before.size if one.before else None
    if before is None:
        return one.library.title, f"{size.file:,}", "-", "", "new", f"{size.compressed:,}", "-", ""
    return (
        one.library.title,
        f"{size.file:,}",
        f"{before.file:,}",
        _signed(size.file - before.file),
        _share(size.file, before.file),
        f"{size.compressed:,}",
        f"{before.compressed:,}",
        _signed(size.compressed - before.compressed),
    )


def _list_limits(one: Compared) -> Iterator[str]:
    size = one.library.size
    for budget, number, what in (
        (one.max_size, size.file, ""),
        (one.max_compressed, size.compressed, " compressed"),
    ):
        if budget is not None:
            yield f"{_room(budget, number)} {budget.limit:,}{what}"


def _room(budget: Budget, size: int) -> str:
    over = size - budget.limit
    return f"{over:,} OVER" if over > 0 else f"{-over:,} below"


def _describe_changes(libraries: Sequence[Compared]) -> Iterator[Section]:
    """Yields what changed and why, once for each product; operators have a column for each ABI."""
    for product in dict.fromkeys(one.library.product for one in libraries):
        of = [one for one in libraries if one.library.product == product]
        named = f" of {product}" if product else ""
        known = [one for one in of if one.before is not None]
        if known:
            yield from _describe_reasons(known, named)
        yield _describe_operators(of, named)


def _describe_reasons(known: Sequence[Compared], named: str) -> Iterator[Section]:
    reasons = list(dict.fromkeys(reason for one in known for reason in _list_reasons(one)))
    if not reasons:
        reasons = ["Nothing that decides the libraries has changed."]
    yield Section(title=f"What changed{named}", sentences=tuple(reasons))
    parts = _compare_tables(known, lambda size: size.parts)
    if parts:
        header = ("part of the library", *_columns(known, "change"))
        rows = tuple(
            (name, *(_signed(now - before) for now, before in pairs)) for name, pairs in parts
        )
        yield Section(
            title=f"Where the bytes went{named}", table=Table(header=header, rows=rows[:_SHOWN])
        )


def _list_reasons(one: Compared) -> Iterator[str]:
    """Yields in sentences what differs between two releases of one library."""
    now, before = one.library, one.before
    if before is None:
        return
    yield from _compare_models(now, before)
    for name in sorted({*now.facts, *before.facts}):
        new, old = now.facts.get(name, "-"), before.facts.get(name, "-")
        if new != old:
            yield f"{name}: {new}, before {old}."
    added = sorted({*now.size.operators} - {*before.size.operators})
    removed = sorted({*before.size.operators} - {*now.size.operators})
    if added:
        yield f"{number_of(len(added), 'operator')} more: {'; '.join(_explain(now, added))}."
    if removed:
        yield f"{number_of(len(removed), 'operator')} less: {', '.join(removed[:_SHOWN])}."


def _explain(library: ReleasedLibrary, names: Sequence[str]) -> Iterator[str]:
    for name in names[:_SHOWN]:
        models = ", ".join(library.size.operators[name].models)
        yield f"{name}, which {models} needs" if models else name
    if len(names) > _SHOWN:
        yield f"and {len(names) - _SHOWN} others"


def _compare_models(now: ReleasedLibrary, before: ReleasedLibrary) -> Iterator[str]:
    new = {one.name: one.sha256 for one in now.models}
    old = {one.name: one.sha256 for one in before.models}
    for name in sorted({*new, *old}):
        if name not in old:
            yield f"The model {name} is new."
        elif name not in new:
            yield f"The model {name} is gone."
        elif new[name] != old[name]:
            yield f"The model {name} is another file."


def _describe_operators(of: Sequence[Compared], named: str) -> Section:
    compared = [one for one in of if one.before is not None]
    if not compared:
        return _list_operators(of, named)
    prices = _compare_tables(
        compared, lambda size: {name: one.exclusive for name, one in size.operators.items()}
    )
    models = {
        name: ", ".join(price.models)
        for one in compared
        for name, price in one.library.size.operators.items()
    }
    rows = tuple(
        (
            name,
            *(cell for now, before in pairs for cell in (f"{now:,}", _signed(now - before))),
            models.get(name, "no model any more"),
        )
        for name, pairs in prices[:_SHOWN]
    )
    columns = [
        text
        for one in compared
        for text in (_name(one, compared, "bytes"), _name(one, compared, "change"))
    ]
    left = len(prices) - len(rows)
    more = (f"{number_of(left, 'more operator')} changed.",) if left > 0 else ()
    none = () if rows else ("No operator costs more or fewer bytes than before.",)
    return Section(
        title=f"Operators{named} that changed",
        sentences=(*none, *more),
        table=Table(header=("operator", *columns, "wanted by"), rows=rows),
    )


def _list_operators(of: Sequence[Compared], named: str) -> Section:
    names = {name for one in of for name in one.library.size.operators}
    largest = sorted(names, key=lambda name: (-max(_price(one, name) for one in of), name))
    models = {
        name: ", ".join(price.models)
        for one in of
        for name, price in one.library.size.operators.items()
    }
    rows = tuple(
        (name, *(f"{_price(one, name):,}" for one in of), models[name]) for name in largest[:_SHOWN]
    )
    left = len(largest) - len(rows)
    return Section(
        title=f"Operators{named}",
        sentences=(
            "Bytes that the library would lose without the operator.",
            *((f"{number_of(left, 'more operator')} cost less.",) if left > 0 else ()),
        ),
        table=Table(header=("operator", *_columns(of, "bytes"), "wanted by"), rows=rows),
    )


def _price(one: Compared, name: str) -> int:
    price = one.library.size.operators.get(name)
    return price.exclusive if price else 0


def _compare_tables(
    known: Sequence[Compared], table: Callable[[SizeReport], Mapping[str, int]]
) -> list[tuple[str, list[tuple[int, int]]]]:
    """Returns name and, for each library, bytes now and before, of all that differ."""
    tables = [(table(one.library.size), table(one.before.size)) for one in known if one.before]
    pairs = {
        name: [(now.get(name, 0), old.get(name, 0)) for now, old in tables]
        for both in tables
        for name in (*both[0], *both[1])
    }
    changed = {name: of for name, of in pairs.items() if any(now != old for now, old in of)}
    return sorted(
        changed.items(), key=lambda item: (-max(abs(now - old) for now, old in item[1]), item[0])
    )


def _describe_gates(report: ReleaseReport) -> Section:
    return Section(
        title="Gates",
        table=Table(
            header=("gate", "result", "details"),
            rows=tuple(
                (str(one.gate), _MARKS[one.outcome], "\n".join(one.details)) for one in report.gates
            ),
        ),
    )


def _describe_runs(report: ReleaseReport) -> Iterator[Section]:
    if report.runs:
        rows = tuple(
            (
                one.model,
                f"{one.product} {one.abi}".strip(),
                one.reference,
                "-" if one.largest is None else f"{one.largest:.2g}",
                "ok" if one.ok else "DIFFERS",
            )
            for one in report.runs
        )
        header = ("model", "ran on", "expected outputs", "largest difference", "result")
        yield Section(title="Verified", table=Table(header=header, rows=rows))


def _describe_files(report: ReleaseReport) -> Iterator[Section]:
    if report.files:
        rows = tuple((one.path, f"{one.size:,}", one.sha256) for one in report.files)
        table = Table(header=("file", "bytes", "SHA-256"), rows=rows)
        yield Section(title="Files", table=table)


def _columns(of: Iterable[Compared], what: str) -> list[str]:
    listed = list(of)
    return [_name(one, listed, what) for one in listed]


def _name(one: Compared, of: Sequence[Compared], what: str) -> str:
    return what if len(of) == 1 else f"{one.library.abi}, {what}"


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _share(now: int, before: int) -> str:
    return f"{(now - before) / before:+.2%}" if before else ""
