"""`builder check`: can this runtime run this model, and will Android load its libraries?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.api.settings import PackageCheck
from builder.cli.console import echo, print_json
from builder.cli.hints import show_hint
from builder.cli.option_types import PathType
from builder.cli.settings_options import settings_options
from builder.core.counts import number_of
from builder.errors import ExitCode
from builder.verify.policy import describe_findings

if TYPE_CHECKING:
    from builder.verify.coverage import Coverage, Obstacle
    from builder.verify.policy import PolicyFinding, PolicyReport


@click.command("check")
@click.argument("paths", metavar="[MODEL] RUNTIME", nargs=-1, required=True, type=PathType())
@settings_options(PackageCheck, "options")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(paths: tuple[Path, ...], options: PackageCheck, as_json: bool) -> int:
    """Checks whether RUNTIME can run MODEL, or whether a package follows the rules of its platform.

    With MODEL: compares what the model needs with what the runtime's manifest lists. Prints the
    operators, custom classes, dtypes or bytecode version that the runtime lacks (for an AAR, also
    on which ABIs), and the build command that adds them. Neither the model nor the runtime is run,
    and torch is not needed.

    Without MODEL, for an AAR or a single library: checks each library against the rules of Android:
    16 KB pages, needed libraries, exported and undefined symbols, hardening, and no paths of the
    build machine. The AAR does not have to come from builder. For an xcframework: checks the
    platform, CPU and deployment target of every object, exported and undefined symbols,
    registrations, and paths. docs/how-to/check-packages.md says where the rules are described.

    The exit code is 8 if the runtime lacks something or if the package breaks a rule.

    \b
    Examples:
      builder check mobilenet_v2.ptl out
      builder check new_model.ptl out/linux-x86_64 --json
      builder check new_model.ptl pytorch_android_lite-2.6.0-1.aar
      builder check pytorch_android_lite-2.6.0-1.aar --ndk $ANDROID_NDK_HOME
      builder check out/apple/LibTorchLite.xcframework
    """
    match paths:
        # Two paths are a model and a runtime; one is a package, which is held against the rules.
        case (model, runtime):
            if options != PackageCheck():
                raise click.UsageError(
                    "--min-api, --page-size, --ndk and --apple-sdk cannot be used with a model"
                )
            coverage = api.check(model, runtime)
            _show_coverage(coverage, model, runtime, as_json=as_json)
            return int(ExitCode.VERIFICATION if coverage.obstacles else ExitCode.OK)
        case (package,):
            report = api.check_package(package, options)
            _show_report(report, package, as_json=as_json)
            return int(ExitCode.VERIFICATION if report.violations else ExitCode.OK)
        case _:
            raise click.UsageError("give a model and a runtime, or only an AAR or xcframework")


def _show_coverage(coverage: Coverage, model: Path, runtime: Path, *, as_json: bool) -> None:
    if as_json:
        listed = [_obstacle_json(obstacle) for obstacle in coverage.obstacles]
        answer = {"model": model.name, "obstacles": listed, "ok": not listed}
        print_json("check", answer | {"note": coverage.note})
        return
    for obstacle in coverage.obstacles:
        where = f" ({', '.join(obstacle.abis)})" if obstacle.abis else ""
        echo(f"missing {obstacle.kind}: {obstacle.name}{where}")
    rebuild = show_hint(coverage.rebuild, "check")
    echo(rebuild if coverage.obstacles else f"{runtime} can run {model.name}")
    if coverage.note:
        echo(coverage.note)


def _obstacle_json(obstacle: Obstacle) -> dict[str, object]:
    fields: dict[str, object] = {"kind": str(obstacle.kind), "name": obstacle.name}
    return fields | ({"abis": list(obstacle.abis)} if obstacle.abis else {})


def _show_report(report: PolicyReport, package: Path, *, as_json: bool) -> None:
    if as_json:
        findings = [asdict(finding) for finding in report.findings]
        fields = {"files": list(report.files), "rules": list(report.rules), "findings": findings}
        print_json("check", fields | {"min_api": report.min_api, "ok": not report.violations})
        return
    for line in describe_findings(report.violations):
        echo(line)
    for rule, reason in sorted(_unchecked(report.unchecked)):
        echo(f"not checked: {rule}, {reason}")
    oldest = report.oldest or f"API level {report.min_api}"
    echo(
        f"{package.name}: {number_of(len(report.violations), 'violation')} "
        f"(libraries: {len(report.files)}, rules: {len(report.rules)}, {oldest})"
    )


def _unchecked(findings: Iterable[PolicyFinding]) -> set[tuple[str, str]]:
    # A rule that cannot be checked is usually unchecked for every library: show it once.
    return {(finding.rule, finding.found) for finding in findings}
