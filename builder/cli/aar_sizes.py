"""Prints the sizes of AARs on a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from builder.cli.console import echo, format_bytes, print_table
from builder.platforms.android.sizes import AarSizes, FileSize

_EVERY = "every"
_HEADER = ("bytes", "compressed")
_AGAINST = ("against", "ratio", "compressed", "against", "ratio")


def print_aar_sizes(sizes: AarSizes, other: AarSizes | None) -> None:
    """Prints what a device of each ABI receives, file by file, next to another AAR if given."""
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
    comparison = "" if other is None else f", against {format_bytes(other.archive)}"
    echo(f"the AAR itself: {format_bytes(sizes.archive)} bytes{comparison}")


def aar_sizes_json(sizes: AarSizes) -> dict[str, object]:
    """Returns the sizes and their totals as values for JSON."""
    totals = {abi: asdict(sizes.library_total(abi)) for abi in sizes.libraries}
    downloads = {abi: sizes.download(abi) for abi in sizes.libraries}
    return {**asdict(sizes), "downloads": downloads, "totals": totals}


def _file_rows(sizes: AarSizes, other: AarSizes | None) -> Iterator[tuple[str, ...]]:
    mine, theirs = _sections(sizes), {} if other is None else _sections(other)
    # The files that every ABI shares come last.
    for abi in sorted({*mine, *theirs}, key=lambda abi: (abi == _EVERY, abi)):
        my_files, their_files = mine.get(abi, {}), theirs.get(abi, {})
        for name in sorted({*my_files, *their_files}):
            size, other_size = my_files.get(name), their_files.get(name)
            if other is None and size is not None:
                yield (abi, name, format_bytes(size.file), format_bytes(size.compressed))
            elif other is not None:
                pairs = zip(_sizes(size), _sizes(other_size), strict=True)
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


def _compare(size: int | None, other: int | None) -> tuple[str, ...]:
    """Returns both sizes, and the first as a percentage of the second."""
    # A file that is new or gone has no ratio.
    share = f"{size / other:.1%}" if size is not None and other else "-"
    return (*("-" if count is None else format_bytes(count) for count in (size, other)), share)
