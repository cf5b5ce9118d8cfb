"""`builder doctor`: shows what is installed, and what each target still needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from builder import api
from builder.cli.console import ConsoleProgress, echo, print_json
from builder.cli.hints import show_hint
from builder.errors import ExitCode

if TYPE_CHECKING:
    from builder.core.artifacts import Diagnosis


@click.command("doctor")
@click.option(
    "--fix",
    is_flag=True,
    help="Install what this machine needs to build for itself: packages by apt, if this user is "
    "root or sudo asks for no password, and the sources. Otherwise print the command.",
)
@click.option(
    "--only",
    "subjects",
    multiple=True,
    metavar="NAME",
    help="With --fix: install what this line of the table needs, such as jdk or 'target "
    "linux-aarch64', and nothing else. Repeat the option for several values.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, fix: bool, subjects: tuple[str, ...], as_json: bool) -> None:
    """Shows what is installed, which targets can be built here, and what the others need.

    The exit code is 0 if this machine can build for itself, and 5 if it cannot.

    \b
    Examples:
      builder doctor
      builder doctor --json
      builder doctor --fix
      builder doctor --fix --only jdk
    """
    if subjects and not fix:
        raise click.UsageError("--only has no effect without --fix.")
    diagnosis = api.diagnose()
    if fix:
        diagnosis = _fix(diagnosis, subjects)
    if as_json:
        findings = [
            {
                "detail": f.detail,
                "ok": f.ok,
                "remedy": show_hint(f.remedy, "build"),
                "subject": f.subject,
            }
            for f in diagnosis.findings
        ]
        print_json("doctor", {"findings": findings, "ready": diagnosis.ready})
    else:
        width = max(len(finding.subject) for finding in diagnosis.findings)
        for finding in diagnosis.findings:
            mark = click.style("ok", fg="green") if finding.ok else click.style("--", fg="yellow")
            echo(f"  {finding.subject.ljust(width)}  {finding.detail}", mark=mark)
            if finding.remedy:
                echo(f"{' ' * (width + 6)}{show_hint(finding.remedy, 'build')}")
    # The exit code lets CI ask whether it can build before it tries.
    ctx.exit(ExitCode.OK if diagnosis.ready else ExitCode.TOOLCHAIN)


def _fix(diagnosis: Diagnosis, subjects: Sequence[str]) -> Diagnosis:
    """Mends what can be mended, and returns what a new look finds."""
    repairs = api.plan_repairs(diagnosis, subjects)
    undone = api.repair(repairs, progress=ConsoleProgress())
    for line in undone:
        echo(f"not done: {line}", err=True)
    return api.diagnose()
