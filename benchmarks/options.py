"""What each option of the size profile saves, alone and together, on one model in one run.

    .venv/bin/python benchmarks/options.py mobilenet_v2.ptl [--abi linux-aarch64] [-o table.md]
    .venv/bin/python benchmarks/options.py mobilenet_v2.ptl --only "profile size" "kinds of tensors"

Every row is a whole build: compiled, linked, stripped, and run where this machine can. Latency is
the quickest of many forward calls on one thread, as a ratio to the first row: what upstream's flags
give for the same translation units. With --work DIR finished builds stay in DIR, and an interrupted
run goes on; a build that other flags, sources or compilers would change is made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

from builder import api
from builder.cli.console import ConsoleProgress
from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.plan import DispatchBackend, Flavour, Profile
from builder.core.toolchain import Toolchain, ToolchainOptions
from builder.native import build_folders
from builder.native.flags import Tuning, load_tuning
from builder.system.emulators import find_emulator
from builder.system.machine import host_abi
from builder.system.process import Runner
from tables import format_ratio, keep_row, print_table, time_models

TITLE = "What each option of the size profile saves"
COLUMNS = (
    *("option", "bytes", "to upstream's flags", "compressed", "to upstream's flags"),
    "latency",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    size: int
    compressed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to build the model's runtime."""

    name: str
    tuning: Tuning
    dtypes: DtypeSet | None = EVERYTHING
    """What kernels are compiled for; those that the model can have where it is None."""

    @property
    def slug(self) -> str:
        """Names files and folders."""
        return re.sub(r"\W+", "-", self.name)


def variants(toolchain: Toolchain) -> tuple[Variant, ...]:
    """Returns the baseline, each option alone, and all together."""
    upstream = plain(load(toolchain, Flavour(profile=Profile.SPEED)))
    size = load(toolchain, Flavour())
    terse = load(toolchain, Flavour(strip_error_messages=True))
    messages = dataclasses.replace(
        upstream,
        cxx=(*upstream.cxx, *(flag for flag in terse.cxx if flag not in size.cxx)),
        with_messages=terse.with_messages,
    )
    speed = load(toolchain, Flavour(profile=Profile.SPEED))
    return (
        Variant(name="upstream's flags", tuning=upstream),
        *options(upstream, size),
        Variant(name="stripped error messages", tuning=messages),
        Variant(name="profile speed", tuning=speed, dtypes=None),
        Variant(name="profile size", tuning=size, dtypes=None),
        Variant(name="profile size, --strip-error-messages", tuning=terse, dtypes=None),
    )


def load(toolchain: Toolchain, flavour: Flavour) -> Tuning:
    """Returns the tuning of `flavour` for float models."""
    return load_tuning(flavour, toolchain, (DispatchBackend.CPU,))


def plain(tuning: Tuning) -> Tuning:
    """Returns upstream's flags with nothing of ours but what makes objects reproducible."""
    kept = tuple(flag for flag in tuning.cxx if "TORCHLITE" not in flag)
    return dataclasses.replace(tuning, cxx=kept, link=())


def options(base: Tuning, size: Tuning) -> Iterator[Variant]:
    """Yields `base` with each option that makes up the size profile, and one beside it."""

    def change(name: str, **values: object) -> Variant:
        return Variant(name=name, tuning=dataclasses.replace(base, **values))  # type: ignore[arg-type]

    kinds = tuple(flag for flag in size.cxx if "TORCHLITE" in flag)
    bitcode = tuple(flag for flag in size.compile if "lto" in flag)
    packed = tuple(flag for flag in size.link if "relocs" in flag)
    yield change("identical code folding", link=(*base.link, "-Wl,--icf=safe"))
    yield change(
        "small C locale, no demangler",
        small_cxx=size.small_cxx,
        link=(*base.link, "-Wl,-z,muldefs"),
    )
    yield change("no unwind tables in C", c=(*base.c, *size.c))
    yield change("no debug handles", dropped=size.dropped)
    yield change("kinds of tensors", cxx=(*base.cxx, *kinds))
    yield Variant(name="dtypes of the model", tuning=base, dtypes=None)
    yield change("-Oz but for kernels", level="-Oz")
    if packed:
        yield change("relative relocations packed", link=(*base.link, *packed))
    if bitcode:
        yield change("link-time optimisation", compile=(*base.compile, *bitcode), lto=True)


@contextmanager
def tuned(variant: Variant) -> Iterator[None]:
    """Builds as `variant` says, in a folder of objects of its own."""
    of = build_folders.Layout.of

    def elsewhere(cache: Path, plan: object) -> build_folders.Layout:
        usual = of(cache, plan)  # type: ignore[arg-type]
        return dataclasses.replace(usual, flavour=f"benchmark-{variant.slug}")

    with (
        mock.patch.object(build_folders.Layout, "of", elsewhere),
        mock.patch("builder.native.job.load_tuning", return_value=variant.tuning),
    ):
        yield


def build(variant: Variant, model: Path, toolchain: Toolchain, output: Path) -> Row:
    """Builds one variant into `output`."""
    print(f"== {variant.name}", file=sys.stderr)
    with tuned(variant):
        request = api.BuildRequest(inputs=(model,), dtypes=variant.dtypes)
        report = api.build(request, [toolchain.target], output, progress=ConsoleProgress())
    (outcome,) = report.runtimes
    return Row(name=variant.name, size=outcome.size.file, compressed=outcome.size.compressed)


def identify(variant: Variant, model: Path, toolchain: Toolchain) -> str:
    """Returns a name for all that decides a row: model, sources, toolchain, builder and flags."""
    plan = api.plan_build(
        (model,),
        toolchain.target,
        release=api.load_release(),
        toolchain=toolchain,
        dtypes=variant.dtypes,
    )
    tuning = json.dumps(dataclasses.asdict(variant.tuning), default=sorted, sort_keys=True)
    digest = hashlib.sha256(f"{plan.key}{tuning}".encode()).hexdigest()
    return f"{variant.slug}-{digest[:16]}"


def format_rows(rows: Sequence[Row], latencies: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Yields the table's lines; ratios are to the first row."""
    base = rows[0]
    for row in rows:
        yield (
            row.name,
            f"{row.size:,}",
            f"{row.size / base.size:.3f}",
            f"{row.compressed:,}",
            f"{row.compressed / base.compressed:.3f}",
            format_ratio(latencies.get(row.name), latencies.get(base.name)),
        )


def main() -> None:
    """Builds the variants and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--abi", default=host_abi())
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the first row, and these")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keeps finished builds")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    model = arguments.model.absolute()
    toolchain = api.locate_toolchain(api.locate_target(arguments.abi), options=ToolchainOptions())
    known = variants(toolchain)
    wanted = set(arguments.only or (variant.name for variant in known))
    if unknown := sorted(wanted - {variant.name for variant in known}):
        names = "; ".join(variant.name for variant in known)
        parser.error(f"no rows: {'; '.join(unknown)}\nrows are: {names}")
    if find_emulator(toolchain.target.architecture, Runner.inherit()) is None:
        print("nothing here runs the built programs; operators are not checked", file=sys.stderr)
    with tempfile.TemporaryDirectory() as forgotten:
        work = (arguments.work or Path(forgotten)).absolute()
        rows, roots = [], {}
        for variant in known:
            if variant is known[0] or variant.name in wanted:
                output = work / identify(variant, model, toolchain)
                make = partial(build, variant, model, toolchain, output)
                rows.append(keep_row(output.with_suffix(".json"), Row, make))
                roots[variant.name] = output / toolchain.target.abi
        latencies = time_models(roots, model, toolchain)
    rendered = format_rows(rows, latencies)
    print_table(TITLE, model, toolchain, COLUMNS, rendered, arguments.output)


if __name__ == "__main__":
    main()
