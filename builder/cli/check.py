"""`builder check`: can this runtime run this model?"""

from __future__ import annotations

from pathlib import Path

import click

from builder.cli.console import print_json


@click.command("check")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("runtime", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(model: Path, runtime: Path, as_json: bool) -> int:
    """Says whether RUNTIME can run MODEL, from what both say of themselves.

    Names the operators, custom classes, dtypes or bytecode version that stand against it, and the
    rebuild that would help. Runs neither, and needs no torch. Exit code 8 when it cannot.

    \b
    Examples:
      builder check mobilenet_v2.ptl out
      builder check new_model.ptl out/linux-x86_64 --json
    """
    from builder import api
    from builder.errors import ExitCode

    coverage = api.check_model(model, runtime)
    obstacles = coverage.obstacles
    if as_json:
        listed = [{"kind": str(obstacle.kind), "name": obstacle.name} for obstacle in obstacles]
        answer = {"model": model.name, "obstacles": listed, "ok": not obstacles}
        print_json(answer | {"note": coverage.note})
    elif obstacles:
        for obstacle in obstacles:
            click.echo(f"missing {obstacle.kind}: {obstacle.name}")
        click.echo(coverage.rebuild)
    else:
        click.echo(f"{runtime} can run {model.name}")
    if coverage.note and not as_json:
        click.echo(coverage.note)
    return int(ExitCode.VERIFICATION if obstacles else ExitCode.OK)
