"""`builder release`: makes the packages of builder.yaml, shows that they work, and reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import api
from builder.api.settings import CONFIGURATION, ReleaseSettings
from builder.cli.configured import ConfigurationAsked, configuration_options
from builder.cli.console import ConsoleProgress, echo, print_json, print_table
from builder.cli.failures import describe_failure
from builder.cli.locked import LockAsked, lock_options, place_lock
from builder.cli.option_types import PathType
from builder.cli.settings_options import settings_options
from builder.errors import ConfigurationError
from builder.system.files import append_text, describe_absent, refuse_no_appending

if TYPE_CHECKING:
    from builder.api import ReleaseReport
    from builder.api.products import Values

FORGES = ("github", "gitlab")
"""Where a comment can be posted; builder/api/comments.py knows them."""


@click.command("release")
@settings_options(ReleaseSettings, "settings", typed="given")
@configuration_options(verb="Release")
@lock_options("Refuse to build with anything else than what the lock says")
@click.option(
    "--comment",
    type=click.Choice(FORGES),
    help="Post the report as a comment on the pull request or merge request that this job of CI is "
    "for, or update the comment of an earlier run. The job's own variables say where.",
)
@click.option(
    "--comment-key",
    metavar="WORD",
    default="",
    help="With --comment: a word that tells this job's comment from those of other jobs with the "
    "same name, such as the legs of a matrix on GitHub.",
)
@click.option(
    "--summary",
    type=PathType(dir_okay=False),
    metavar="FILE",
    help="Append the report as Markdown to this file, e.g. $GITHUB_STEP_SUMMARY.",
)
@click.option(
    "--cache-keys",
    is_flag=True,
    help="Print the keys for the caches of a job of CI as NAME=VALUE, and do nothing else.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the report as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    settings: ReleaseSettings,
    given: Values,
    asked: ConfigurationAsked,
    lock: LockAsked,
    comment: str | None,
    comment_key: str,
    summary: Path | None,
    cache_keys: bool,
    as_markdown: bool,
    as_json: bool,
) -> int:
    """Makes a release of what builder.yaml describes: a folder to publish, and a report.

    Builds all products, runs the models on the runtimes that this machine can run, checks the
    packages against the rules of their platforms, compares the sizes with the budgets and with the
    last release, and writes packages, bills of materials, checksums and the report (Markdown, JSON,
    HTML). The file to keep for the next release is report.json.

    If a gate fails, the folder stays as it was, and the report is in a folder beside it whose name
    ends with -failed. The exit code says which gate it was: 8 verify, 9 check, 10 size; exports,
    builds and packages have the codes of their errors. If nothing has changed, nothing is done.

    \b
    Examples:
      builder release
      builder release --against last/report.json --max-growth 2%
      builder release --config app/builder.yaml --product detector -o dist
      builder release --export --comment github --summary "$GITHUB_STEP_SUMMARY"
    """
    del settings
    _refuse_several({"--json": as_json, "--markdown": as_markdown, "--cache-keys": cache_keys})
    _refuse_idle_key(comment, comment_key)
    path = asked.path or Path(CONFIGURATION)
    configuration = api.read_configuration(path)
    if cache_keys:
        for name, key in api.list_cache_keys(configuration).items():
            echo(f"{name}={key}")
        return 0
    if summary is not None:
        with _naming(summary):
            refuse_no_appending(summary)
    request = api.ReleaseRequest(
        configuration=configuration,
        products=asked.products,
        given=given,
        export=asked.export,
        lock=(lock.path or place_lock(asked)) if lock.is_asked else None,
    )
    report = api.release(request, progress=ConsoleProgress(quiet=as_json or as_markdown))
    markdown = api.render_release(report)
    if as_json:
        shown = report.to_json()
        if report.error is not None:
            shown["error"] = describe_failure(report.error).to_json()
        print_json("release", shown)
    elif as_markdown:
        echo(markdown, nl=False)
    else:
        _print_summary(report)
    if comment is not None:
        posted = api.post_comment(comment, markdown, str(path), comment_key)
        echo(f"comment: {posted}", err=True)
    _append(markdown, summary)
    if report.error is not None:
        raise report.error
    return 0


def _refuse_several(asked: Mapping[str, bool]) -> None:
    """Raises UsageError where more than one form of the output is asked for."""
    names = [name for name, is_asked in asked.items() if is_asked]
    if len(names) > 1:
        raise click.UsageError(f"{' and '.join(names)} exclude each other")


def _refuse_idle_key(comment: str | None, key: str) -> None:
    if key and comment is None:
        raise click.UsageError("--comment-key has no effect without --comment")


def _append(text: str, summary: Path | None) -> None:
    if summary is not None:
        with _naming(summary):
            append_text(summary, text)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raises ConfigurationError if `path` cannot be appended to in the block."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, FileNotFoundError):
            reason = f"it {describe_absent(path)}"
        raise ConfigurationError(
            f"cannot append to {path}: {reason}", hint="choose another --summary"
        ) from None


def _print_summary(report: ReleaseReport) -> None:
    title = "release" if report.ok else "report"
    rows = [(str(one.gate), str(one.outcome)) for one in report.gates]
    print_table((title, str(report.folder)), rows)
    echo()
    print_table(
        ("library", "bytes", "before", "compressed", "before"),
        [
            (
                one.library.title,
                f"{one.library.size.file:,}",
                f"{one.before.size.file:,}" if one.before else "-",
                f"{one.library.size.compressed:,}",
                f"{one.before.size.compressed:,}" if one.before else "-",
            )
            for one in report.libraries
        ],
    )
    if report.is_reused:
        echo("nothing to do: the folder has this release already")
