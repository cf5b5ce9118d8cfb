"""`release`: everything that builder.yaml says, from the exports to a folder to publish."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder import __version__
from builder.api.build_locks import choose_locked, read_lock
from builder.api.builds import ProductBuild, build_products, refuse_outputs
from builder.api.exports import export, refuse_model
from builder.api.finished import FOLDER
from builder.api.plans import list_inputs
from builder.api.products import Configuration, Outputs, Product, Values
from builder.api.release_gates import (
    ReleasedProduct,
    check_packages,
    choose_abis,
    find_unfit,
    hold_sizes,
    list_libraries,
    list_models,
    run_models,
)
from builder.api.release_report import (
    REPORT,
    Compared,
    Gate,
    GateResult,
    LastRelease,
    ModelRun,
    Outcome,
    PublishedFile,
    ReleaseReport,
    fail,
    finish_gates,
    list_published,
    read_report,
)
from builder.api.released_packages import BuiltProduct, fill_release, write_reports
from builder.api.settings import BuildSettings, ProofSettings, PublishSettings
from builder.api.toolchains import locate_targets
from builder.core.budgets import Growth
from builder.core.targets import Target
from builder.core.typed import Sha256, parse_json, to_json
from builder.errors import (
    BuilderError,
    ConfigurationError,
    Hint,
    Use,
    name_export,
    name_product,
    naming,
)
from builder.export.request import ExportRequest
from builder.packaging.result_folder import (
    LISTING,
    is_whole,
    refuse_foreign_folder,
    result_folder,
)
from builder.platforms.apple.accelerators import refuse_frameworks
from builder.system.files import (
    describe_absent,
    digest_file,
    find_lost_link,
    read_regular,
    write_atomically,
)
from builder.system.folders import cache_folder
from builder.system.locks import path_lock
from builder.system.outputs import refuse_unwritable
from builder.system.own_cache import claim_cache
from builder.system.own_files import digest_own_files
from builder.system.progress import Progress
from builder.system.reference_headers import reference_path
from builder.system.trees import remove_tree

_MOST = 64 << 20
"""Bytes of a report."""
_AGAINST, _GROWTH = ("release", "against"), ("release", "max_growth")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """Which release to make."""

    configuration: Configuration
    """What builder.yaml says."""
    products: tuple[str, ...] = ()
    """Names of products; none for all."""
    given: Values = field(default_factory=dict)
    """Settings of the release that count more than those of the file."""
    export: bool = False
    """Whether the exports of the file run first; they run code of the models."""
    lock: Path | None = None
    """A file of `builder lock`: builds with anything else than what it says are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What the cache says of a release that was written."""

    listing: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What a report says in the end."""

    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptGate:
    gate: Gate
    outcome: Outcome
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is read of a report that says that nothing is to do."""

    gates: tuple[_KeptGate, ...]
    runs: tuple[ModelRun, ...]
    files: tuple[PublishedFile, ...]


def release(request: ReleaseRequest, *, progress: Progress) -> ReleaseReport:
    """Exports, builds, verifies, checks, compares sizes, and writes a folder to publish.

    The folder is replaced as a whole, and only by a release that passed all gates. The report of
    one that failed is in a folder beside it, whose name ends with `-failed`. If the folder has the
    same release already, nothing is done but finding that out.

    Raises:
        ConfigurationError: settings that do not go together, with file, line and key; a folder with
            files that builder did not write; or another builder releases to the same folder.
        PackagingError: the disk is full.

    Errors of the gates do not raise: the report has them.
    """
    configuration = request.configuration
    chosen = configuration.choose(request.products)
    publishing = configuration.make_publishing(request.given)
    if request.export and not configuration.exports:
        raise ConfigurationError(
            f"{configuration.path} has no exports",
            hint="leave out --export, or add exports to the file",
        )
    if not publishing.output.name or publishing.output.name == "..":
        raise ConfigurationError(
            f"{str(publishing.output)!r} cannot be replaced by a release",
            hint=Hint("name a folder of its own with ", Use("release.output", "release")),
        )
    _refuse_shared_folders(configuration, publishing.output)
    last = _read_last(configuration, publishing, is_given=_AGAINST in request.given)
    for folder in list_published(publishing.output):
        refuse_unwritable(folder)
        refuse_foreign_folder(folder)
    _refuse_no_failure(publishing.output)
    name = hashlib.sha256(str(publishing.output.resolve()).encode()).hexdigest()
    with path_lock(
        cache_folder() / FOLDER / f"{name}.json",
        timeout=0,
        error=ConfigurationError,
        what=f"{publishing.output} for a release",
        hint="wait for it, or choose another folder with -o",
    ):
        return _release(request, chosen, publishing, last, progress)


def _read_last(
    configuration: Configuration, publishing: PublishSettings, *, is_given: bool
) -> LastRelease | None:
    # What the command line gives has no line in the file.
    where = ".".join(_AGAINST) if is_given else configuration.find_line(*_AGAINST)
    if publishing.against is None:
        _refuse_idle_growth(configuration, publishing)
        return None
    try:
        return read_report(publishing.against)
    except FileNotFoundError:
        named = "name the folder of the last release, or its report"
        # Such a link names a report that there was, and an empty folder is what a cache gives that
        # has nothing yet.
        was_there = find_lost_link(publishing.against) or _has_files(publishing.against)
        if publishing.first and not was_there:
            return None
        said = f"{publishing.against} {describe_absent(publishing.against)}"
        if publishing.against.is_dir():
            said = f"the folder {publishing.against} has no {REPORT}"
        first = Hint("before the first release, add ", Use("release.first", True))
        raise ConfigurationError(f"{where}: {said}", hint=named if was_there else first) from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error.message}", hint=error.hint) from None


def _has_files(folder: Path) -> bool:
    with suppress(OSError):
        return any(folder.iterdir())
    return False


def _refuse_idle_growth(configuration: Configuration, publishing: PublishSettings) -> None:
    places: list[tuple[str, ...]] = [_GROWTH] if publishing.max_growth is not None else []
    for product in configuration.products:
        if configuration.make_proofs(product).size.max_growth is not None:
            own = ("products", product.name, "size", "max_growth")
            places.append(own if own in configuration.lines else own[2:])
    for place in places:
        raise ConfigurationError(
            f"{configuration.find_line(*place)}: without release.against, nothing is compared, "
            "so it has no effect",
            hint=Hint(
                "name the report of the last release with ", Use("release.against", "report.json")
            ),
        )


def _refuse_shared_folders(configuration: Configuration, output: Path) -> None:
    """Raises ConfigurationError if builds or exports would write where the release does."""
    published = Outputs()
    for folder in list_published(output):
        published.add_folder(folder, "the folder of the release")
    said = Outputs(configuration.products).find_meeting(output)
    for export_request in configuration.exports:
        said = said or published.find_meeting(export_request.output)
    if said:
        raise ConfigurationError(
            said, hint=Hint("name a folder of its own with ", Use("release.output", "release"))
        )


def _release(
    request: ReleaseRequest,
    chosen: Sequence[Product],
    publishing: PublishSettings,
    last: LastRelease | None,
    progress: Progress,
) -> ReleaseReport:
    against = _describe_last(publishing, last)
    report = ReleaseReport(
        builder=__version__, gates=(), growth=publishing.max_growth, against=against
    )
    gates = [_run_exports(request, progress)]
    if gates[0].error is None:
        products, gate = _build_products(request, chosen, progress)
        gates.append(gate)
    if gates[-1].error is not None:
        return _write_failure(replace(report, gates=finish_gates(tuple(gates))), publishing.output)
    is_given = _GROWTH in request.given
    growths = {one.name: _choose_growth(one, publishing, is_given=is_given) for one in products}
    report = replace(
        report,
        key=_make_key(products, publishing, growths),
        libraries=tuple(
            Compared(
                library=one,
                before=last.find(one) if last else None,
                budgets=product.settings.budgets,
                growth=growths[product.name],
            )
            for product in products
            for one in list_libraries(product, __version__)
        ),
    )
    if finished := _find_finished(report, publishing.output):
        progress.note(f"{publishing.output} is up to date: {report.key[:16]}")
        _remove_failure(publishing.output)
        return finished
    verified, runs = run_models(products, progress)
    gates += [verified, check_packages(products, progress)]
    gates.append(hold_sizes(report.libraries, last))
    report = replace(report, runs=runs, gates=finish_gates(tuple(gates)))
    if not report.ok:
        return _write_failure(report, publishing.output)
    return _publish(report, products, publishing.output, progress)


def _describe_last(publishing: PublishSettings, last: LastRelease | None) -> str:
    # Only its name: the folder is of this machine, and the report is for everybody.
    name = publishing.against.name if publishing.against else ""
    return f"{name} of builder {last.builder}" if last else ""


def _run_exports(request: ReleaseRequest, progress: Progress) -> GateResult:
    if not request.export:
        details = ("not asked for",)
        return GateResult(gate=Gate.EXPORT, outcome=Outcome.SKIPPED, details=details)
    try:
        exports = request.configuration.exports
        done = tuple(_run_export(one, len(exports), progress) for one in exports)
    except BuilderError as error:
        return fail(Gate.EXPORT, error)
    return GateResult(gate=Gate.EXPORT, outcome=Outcome.PASSED, details=done)


def _run_export(request: ExportRequest, count: int, progress: Progress) -> str:
    """Runs one of `count` exports, and returns what the report says of it."""
    with naming(name_export(str(request.output), count)):
        refuse_model(request.output, request.source)
        result = export(request, progress=progress)
        for remark in result.remarks:
            progress.note(Hint("note: ", remark))
        if result.failure is not None:
            raise result.failure
    return f"{request.output.name}: {result.size:,} bytes"


def _build_products(
    request: ReleaseRequest, chosen: Sequence[Product], progress: Progress
) -> tuple[list[ReleasedProduct], GateResult]:
    configuration, lock = request.configuration, request.lock
    read = read_lock(lock) if lock else None
    builds, planned = [], []
    for product in chosen:
        # Mistakes in any product are found before the first one is built.
        settings = configuration.make_settings(product, {})
        proofs = configuration.make_proofs(product)
        with naming(name_product(product.name, len(chosen))):
            targets = _locate_targets(settings)
        _refuse_unfit(configuration, product, settings, proofs)
        locked = choose_locked(lock, read, product.name) if lock and read else None
        builds.append(
            ProductBuild(
                request=settings.request,
                targets=targets,
                output=settings.output,
                options=settings.packages,
                locked=locked,
                name=product.name,
            )
        )
        planned.append((settings, proofs))
    try:
        reports = build_products(builds, progress=progress)
    except BuilderError as error:
        return [], fail(Gate.BUILD, error)
    products = [
        ReleasedProduct(
            name=one.name, settings=settings, proofs=proofs, targets=tuple(one.targets), report=made
        )
        for one, (settings, proofs), made in zip(builds, planned, reports, strict=True)
    ]
    details = tuple(
        f"{f'{one.name} {runtime.plan.target.abi}'.strip()}: {runtime.units_linked} units"
        for one in products
        for runtime in one.report.runtimes
    )
    return products, GateResult(gate=Gate.BUILD, outcome=Outcome.PASSED, details=details)


def _refuse_unfit(
    configuration: Configuration, product: Product, settings: BuildSettings, proofs: ProofSettings
) -> None:
    """Raises ConfigurationError where a model will be run, and there are no inputs that fit it."""
    models = list_models(settings)
    if choose_abis(proofs, models, settings.targets.abis):
        for said in filter(None, (find_unfit(model, proofs) for model in models)):
            raise configuration.fail(
                product,
                ("verify", "inputs"),
                said,
                "describe inputs, such as inputs: ['float32[1,3,224,224]'], or export the model "
                "again, which writes a reference case",
            )


def _locate_targets(settings: BuildSettings) -> tuple[Target, ...]:
    """Returns what a product is built for; what its build would refuse is refused."""
    request, wanted = settings.request, settings.targets
    list_inputs(request)
    targets = locate_targets(wanted.abis, min_api=wanted.min_api, min_ios=wanted.min_ios)
    refuse_frameworks(request.accelerators, targets, request.tools.apple_sdk)
    refuse_outputs(targets, settings.output, settings.packages, release=request.pytorch)
    return targets


def _choose_growth(
    product: ReleasedProduct, publishing: PublishSettings, *, is_given: bool
) -> Growth | None:
    # What is given on the command line is meant for all products.
    own = None if is_given else product.proofs.size.max_growth
    return own or publishing.max_growth


def _make_key(
    products: Sequence[ReleasedProduct],
    publishing: PublishSettings,
    growths: Mapping[str, Growth | None],
) -> str:
    """Returns a digest of all that decides a release."""
    against = publishing.against
    report = None if against is None else against / REPORT if against.is_dir() else against
    decisive = {
        "builder": digest_own_files(),
        "against": digest_file(report) if report and report.is_file() else "",
        "growth": [[name, one.text if one else ""] for name, one in growths.items()],
        "products": [_describe_product(one) for one in products],
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _describe_product(one: ReleasedProduct) -> dict[str, object]:
    cases = [reference_path(model) for model in one.models]
    budgets = one.settings.budgets
    return {
        "name": one.name,
        "manifests": [digest_file(runtime.package.manifest) for runtime in one.report.runtimes],
        "packages": [
            digest_file(folder / LISTING)
            for folder in (
                *((one.report.aar.written.folder,) if one.report.aar else ()),
                *((one.report.apple.written.folder,) if one.report.apple else ()),
            )
        ],
        "models": [[model.name, digest_file(model)] for model in one.models],
        "cases": [digest_file(case) if case.is_file() else "" for case in cases],
        "budgets": [b.text for b in (*budgets.max_size, *budgets.max_compressed)],
        "proofs": repr(to_json(one.proofs)),
    }


def _find_finished(report: ReleaseReport, output: Path) -> ReleaseReport | None:
    """Returns the release of this key in `output`; None unless all of it is whole."""
    try:
        record = parse_json(read_regular(_record(report.key), _MOST), _Record, "record")
        if not is_whole(output, LISTING, record.listing):
            return None
        text = read_regular(output / REPORT, _MOST)
        kept = parse_json(text, _Kept, "report of a release", most=_MOST)
    except (OSError, ValueError):
        return None
    gates = tuple(
        GateResult(gate=one.gate, outcome=one.outcome, details=one.details) for one in kept.gates
    )
    return replace(
        report, gates=gates, runs=kept.runs, files=kept.files, folder=output, is_reused=True
    )


def _record(key: str) -> Path:
    return cache_folder() / FOLDER / f"{key}.json"


def _publish(
    report: ReleaseReport, products: Sequence[ReleasedProduct], output: Path, progress: Progress
) -> ReleaseReport:
    progress.step(f"writing {output}")
    packed = GateResult(gate=Gate.PACKAGE, outcome=Outcome.PASSED, details=("packages are whole",))
    gates = tuple(packed if one.gate is Gate.PACKAGE else one for one in report.gates)
    report = replace(report, gates=gates, folder=output)
    built = [BuiltProduct(name=one.name, report=one.report) for one in products]
    with result_folder(output) as folder:
        files = fill_release(folder, built, report)
    with suppress(OSError):
        claim_cache(cache_folder())
        record = json.dumps({"listing": digest_file(output / LISTING)})
        write_atomically(_record(report.key), record)
    _remove_failure(output)
    return replace(report, files=files)


def _refuse_no_failure(output: Path) -> None:
    """Raises ConfigurationError if a failure's place has something else, such as a good release."""
    _, failed = list_published(output)
    if failed.is_dir() and any(failed.iterdir()) and not _has_failure(failed):
        raise ConfigurationError(
            f"{failed} would be replaced by the report of a release that fails, but it has no such "
            "report",
            hint=Hint("move it away, or choose another folder with ", Use("release.output")),
        )


def _has_failure(folder: Path) -> bool:
    """Returns whether a folder has the report of a release that failed."""
    try:
        text = read_regular(folder / REPORT, _MOST)
        return not parse_json(text, _Verdict, "report of a release", most=_MOST).ok
    except (OSError, ValueError):
        return False


def _remove_failure(output: Path) -> None:
    # The report of a failure before this release would be taken for one of this release.
    _, failed = list_published(output)
    if failed.is_dir() and _has_failure(failed):
        refuse_foreign_folder(failed)
        remove_tree(failed)


def _write_failure(report: ReleaseReport, output: Path) -> ReleaseReport:
    _, failed = list_published(output)
    # Again: another release may have been written there meanwhile.
    _refuse_no_failure(output)
    with result_folder(failed) as folder:
        write_reports(folder, report)
    return replace(report, folder=failed)
