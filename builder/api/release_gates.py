"""The gates of a release that look at what was built: verify, check and size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.api.build_report import BuildReport
from builder.api.checks import check, check_package
from builder.api.release_report import (
    Compared,
    Gate,
    GateResult,
    LastRelease,
    ModelRun,
    Outcome,
    ReleasedLibrary,
    ReleasedModel,
    fail,
)
from builder.api.settings import BuildSettings, ProofSettings
from builder.api.verification import verify
from builder.core.artifacts import SizeReport
from builder.core.counts import number_of
from builder.core.input_checks import find_misfit
from builder.core.signatures import find_signature
from builder.core.targets import Target
from builder.errors import (
    BuilderError,
    ConfigurationError,
    Hint,
    RulesError,
    SizeError,
    Use,
    VerificationError,
    name_product,
    naming,
)
from builder.models.read import read_model
from builder.oplists.format import is_op_list
from builder.platforms.results import RuntimeResult
from builder.size.budget_check import find_excesses, find_growth
from builder.system.machine import host_abi
from builder.system.progress import Progress
from builder.system.reference_headers import reference_path
from builder.verify.policy import describe_findings
from builder.verify.request import VerifyRequest

_NAMED = 20
"""Libraries that a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedProduct:
    """A product, its settings, and what was built of it."""

    name: str
    """Empty where the file has no products."""
    settings: BuildSettings
    proofs: ProofSettings
    targets: tuple[Target, ...]
    report: BuildReport

    @property
    def models(self) -> tuple[Path, ...]:
        """Its lite files; operator lists can only be built."""
        return list_models(self.settings)


def list_models(settings: BuildSettings) -> tuple[Path, ...]:
    """Returns the lite files that a product is built for."""
    return tuple(p for p in settings.request.inputs if not is_op_list(p))


def list_libraries(product: ReleasedProduct, version: str) -> Iterator[ReleasedLibrary]:
    """Yields what an app gets for each ABI; `version` is that of builder."""
    for runtime in product.report.runtimes:
        plan = runtime.plan
        yield ReleasedLibrary(
            product=product.name,
            abi=plan.target.abi,
            size=_choose_size(product.report, runtime),
            facts={
                "builder": version,
                "PyTorch": plan.release.version,
                "core": str(plan.core),
                "profile": plan.flavour.name,
                "kernels for": str(plan.dtypes),
                "backends": ", ".join(one.name for one in plan.backends) or "-",
                "oldest system": str(plan.target.min_os or "-"),
                "tools": ", ".join(dict.fromkeys(plan.toolchain[1:])),
            },
            models=tuple(
                ReleasedModel(name=one.name, sha256=one.sha256) for one in plan.operator_list.models
            ),
        )


def _choose_size(report: BuildReport, runtime: RuntimeResult) -> SizeReport:
    """Returns the size of what an app gets: the library in the package, if there is one."""
    abi = runtime.plan.target.abi
    for packed in (report.aar, report.apple):
        if packed and abi in packed.sizes:
            return packed.sizes[abi]
    return runtime.size


def run_models(
    products: Sequence[ReleasedProduct], progress: Progress
) -> tuple[GateResult, tuple[ModelRun, ...]]:
    """Runs each model on the runtimes that the settings name."""
    wanted = [
        (one, abi)
        for one in products
        for abi in choose_abis(one.proofs, one.models, [target.abi for target in one.targets])
    ]
    if not wanted:
        off = "switched off" if products and not products[0].proofs.verify.enabled else ""
        reason = off or "no runtime is for this machine, and verify.abis names none"
        return GateResult(gate=Gate.VERIFY, outcome=Outcome.SKIPPED, details=(reason,)), ()
    runs: list[ModelRun] = []
    try:
        for product, abi in wanted:
            for model in product.models:
                progress.step(f"running {model.name} on {f'{product.name} {abi}'.strip()}")
                with naming(name_product(product.name, len(products))):
                    runs.append(_run_model(product, abi, model, progress))
    except ConfigurationError as error:
        # It is no setting that a build has: what was built stays.
        wrong_inputs = VerificationError(error.message, hint=error.hint)
        return fail(Gate.VERIFY, wrong_inputs), tuple(runs)
    except BuilderError as error:
        return fail(Gate.VERIFY, error), tuple(runs)
    wrong = [one for one in runs if not one.ok]
    if wrong:
        lines = [
            f"{one.model} on {f'{one.product} {one.abi}'.strip()}: "
            f"the outputs differ from those of {one.reference}"
            for one in wrong
        ]
        return fail(Gate.VERIFY, VerificationError("\n".join(lines)), tuple(lines)), tuple(runs)
    compared = sum(one.largest is not None for one in runs)
    done = f"{number_of(len(runs), 'run')}, {compared} compared with PyTorch"
    return GateResult(gate=Gate.VERIFY, outcome=Outcome.PASSED, details=(done,)), tuple(runs)


def choose_abis(
    proofs: ProofSettings, models: Sequence[Path], built: Sequence[str]
) -> tuple[str, ...]:
    """Returns the ABIs whose runtimes run the models."""
    if not proofs.verify.enabled or not models:
        return ()
    return proofs.verify.abis or tuple(abi for abi in built if abi == host_abi())


def find_unfit(model: Path, proofs: ProofSettings) -> str:
    """Says why a model cannot be run, as inputs are described for it; or ""."""
    inputs = proofs.verify.inputs
    if reference_path(model).is_file():
        return ""
    signature = find_signature(read_model(model).signatures, "forward")
    # A file of an old version has no signature; the runtime then judges the inputs.
    misfit = "" if inputs else "it may take inputs"
    if signature is not None:
        misfit = find_misfit(signature, inputs) or ""
    if not misfit:
        return ""
    if not inputs:
        return f"{model} has no reference case beside it, and no inputs are described for it"
    return f"{model}: {misfit}"


def _run_model(product: ReleasedProduct, abi: str, model: Path, progress: Progress) -> ModelRun:
    settings = product.proofs.verify
    # Saved inputs belong to their model; random ones are for models that have none.
    has_case = reference_path(model).is_file()
    report = verify(
        VerifyRequest(
            model=model,
            runtime=product.settings.output / abi,
            inputs=() if has_case else settings.inputs,
            tolerance=settings.tolerance,
            via=dict(settings.via).get(abi, ""),
        ),
        progress=progress,
    )
    differences = [one.max_relative for one in report.outputs if one.max_relative is not None]
    return ModelRun(
        product=product.name,
        abi=abi,
        model=report.model,
        # The path of a reference case is of this machine.
        reference=report.reference.rpartition("/")[2],
        largest=max(differences, default=None),
        ok=report.ok,
    )


def check_packages(products: Sequence[ReleasedProduct], progress: Progress) -> GateResult:
    """Checks packages against the rules of their platforms, and models against the packages."""
    progress.step("checking the packages")
    problems, passed = [], []
    try:
        for product in products:
            name = name_product(product.name, len(products))
            with naming(name):
                found, done = _check_product(product)
            problems += [f"{name}: {one}" if name else one for one in found]
            passed += done
    except BuilderError as error:
        return fail(Gate.CHECK, error)
    if problems:
        return fail(Gate.CHECK, RulesError("\n".join(problems)), tuple(problems))
    return GateResult(gate=Gate.CHECK, outcome=Outcome.PASSED, details=tuple(passed))


def _check_product(product: ReleasedProduct) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    done: list[str] = []
    report, options = product.report, product.proofs.check
    packages = [
        *((report.aar.written.aar,) if report.aar else ()),
        *((report.apple.written.framework,) if report.apple else ()),
    ]
    for package in packages:
        checked = check_package(package, options if len(packages) == 1 else None)
        problems += describe_findings(checked.violations)
        done.append(f"{package.name}: {number_of(len(checked.rules), 'rule')} kept")
    roots = [one.package.root for one in report.runtimes]
    for model in product.models:
        for place in (*packages, *roots):
            obstacles = check(model, place).obstacles
            problems += [
                f"{place} lacks for {model.name}: {one.kind} {one.name}" for one in obstacles
            ]
        done.append(f"{model.name}: nothing is missing")
    return problems, done


def hold_sizes(libraries: Sequence[Compared], last: LastRelease | None) -> GateResult:
    """Compares sizes with budgets, and with those of the last release.

    Libraries that only one of the releases has are named. If none that has a limit of growth is in
    both, the limit would hold for nothing, so the gate fails.
    """
    problems = [line for one in libraries for line in _find_problems(one)]
    names = tuple(_name_unmatched(libraries, last)) if last else ()
    limited = [one for one in libraries if one.growth is not None]
    if last and limited and not any(one.before is not None for one in limited):
        lines = (
            "no library with a limit of growth is in the last release, so no growth is limited",
            _name("with a limit", [one.library.title for one in limited]),
            _name("in the last release", [one.title for one in last.libraries]),
        )
        hint = Hint(
            "compare with another report with ",
            Use("release.against", "REPORT"),
            ", or leave out max_growth for this release",
        )
        problems += lines
        return fail(Gate.SIZE, SizeError("\n".join(problems), hint=hint), tuple(problems))
    if problems:
        growth = (Use("release.max_growth"), " or ") if limited else ()
        hint = Hint("allow more with ", *growth, "budgets in builder.yaml")
        return fail(Gate.SIZE, SizeError("\n".join(problems), hint=hint), tuple(problems))
    compared = sum(one.before is not None for one in libraries)
    budgeted = sum(one.max_size is not None or one.max_compressed is not None for one in libraries)
    details = (
        f"{number_of(compared, 'library', 'libraries')} compared with the last release",
        f"{number_of(budgeted, 'library', 'libraries')} with a budget",
        *names,
    )
    return GateResult(gate=Gate.SIZE, outcome=Outcome.PASSED, details=details)


def _name_unmatched(libraries: Sequence[Compared], last: LastRelease) -> Iterator[str]:
    here = {one.library.key for one in libraries}
    for what, titles in (
        ("only in this release", [one.library.title for one in libraries if one.before is None]),
        ("only in the last release", [one.title for one in last.libraries if one.key not in here]),
    ):
        if titles:
            yield _name(what, titles)


def _name(what: str, titles: Sequence[str]) -> str:
    rest = len(titles) - _NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return f"{what}: {', '.join(titles[:_NAMED]) or 'none'}{more}"


def _find_problems(one: Compared) -> Iterator[str]:
    size, title, growth = one.library.size, one.library.title, one.growth
    for excess in find_excesses(size.file, size.compressed, one.budgets, abi=one.library.abi):
        yield f"{title}: {excess}"
    if growth is not None and one.before is not None:
        now, before = (size.file, size.compressed), one.before.size
        for line in find_growth(now, (before.file, before.compressed), growth):
            yield f"{title}: {line}"
