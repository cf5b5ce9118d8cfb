"""How sizes of AARs look on a terminal and in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from builder.cli.console import echo, format_bytes, print_table
from builder.platforms.android.sizes import AarSizes, FileSize

_EVERY = "every"
_HEADER = ("bytes", "compressed")
_AGAINST = ("against", "ratio", "compressed", "against", "ratio")


def print_aar_sizes(sizes: AarSizes, other: AarSizes | None) -> None:
    """Prints what goes to a device of each ABI, by file, beside another AAR if there is one."""
    header = _HEADER if other is None else (_HEADER[0], *_AGAINST)
    print_table(("abi", "file", *header), _file_rows(sizes, other))
    echo()
    columns = ("libraries", "compressed", "download")
    if other is None:
        rows = ((abi, *map(format_bytes, _totals(sizes, abi))) for abi in sizes.libraries)
        print_table(("abi", *columns), rows)
    else:
        pairs = [cell for column in columns for cell in (column, "against", "ratio")]
        print_table(("abi", *pairs), _total_rows(sizes, other))
    echo()
    beside = "" if other is None else f", against {format_bytes(other.archive)}"
    echo(f"the AAR itself: {format_bytes(sizes.archive)} bytes{beside}")


def aar_sizes_json(sizes: AarSizes) -> dict[str, object]:
    """Returns the sizes as JSON, with totals."""
    totals = {abi: asdict(sizes.library_total(abi)) for abi in sizes.libraries}
    downloads = {abi: sizes.download(abi) for abi in sizes.libraries}
    return {**asdict(sizes), "downloads": downloads, "totals": totals}


def _file_rows(sizes: AarSizes, other: AarSizes | None) -> Iterator[tuple[str, ...]]:
    mine, theirs = _sections(sizes), {} if other is None else _sections(other)
    for abi in sorted({*mine, *theirs}, key=lambda abi: (abi == _EVERY, abi)):
        ours, beside = mine.get(abi, {}), theirs.get(abi, {})
        for name in sorted({*ours, *beside}):
            one, another = ours.get(name), beside.get(name)
            if other is None and one is not None:
                yield (abi, name, format_bytes(one.file), format_bytes(one.compressed))
            elif other is not None:
                pairs = zip(_sizes(one), _sizes(another), strict=True)
                yield (abi, name, *(cell for pair in pairs for cell in _compare(*pair)))


def _sections(sizes: AarSizes) -> dict[str, Mapping[str, FileSize]]:
    return {**sizes.libraries, _EVERY: sizes.shared}


def _sizes(size: FileSize | None) -> tuple[int | None, int | None]:
    return (None, None) if size is None else (size.file, size.compressed)


def _total_rows(sizes: AarSizes, other: AarSizes) -> Iterator[tuple[str, ...]]:
    for abi in sorted({*sizes.libraries, *other.libraries}):
        ours, theirs = (
            _totals(one, abi) if abi in one.libraries else (None,) * 3 for one in (sizes, other)
        )
        pairs = zip(ours, theirs, strict=True)
        yield (abi, *(cell for pair in pairs for cell in _compare(*pair)))


def _totals(sizes: AarSizes, abi: str) -> tuple[int, int, int]:
    total = sizes.library_total(abi)
    return total.file, total.compressed, sizes.download(abi)


def _compare(one: int | None, other: int | None) -> tuple[str, ...]:
    """Returns both sizes, and ours as a share of the other."""
    share = f"{one / other:.1%}" if one is not None and other else "-"
    return (*("-" if size is None else format_bytes(size) for size in (one, other)), share)
