"""`builder doctor`: shows what is installed, and what each target still needs."""

from __future__ import annotations

import click

from builder import api
from builder.cli.console import echo, print_json
from builder.cli.hints import show_hint
from builder.errors import ExitCode


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Shows what is installed, which targets can be built here, and what the others need.

    The exit code is 0 if this machine can build for itself, and 5 if it cannot.

    \b
    Examples:
      builder doctor
      builder doctor --json
    """
    diagnosis = api.diagnose()
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
