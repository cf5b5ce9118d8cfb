from __future__ import annotations

import errno
import json
import re
import runpy
import sys
from pathlib import Path

import click
import pytest
from samples import make_toolchain

import builder
from builder import __version__, api
from builder.api import link as libraries
from builder.api import plans as planning
from builder.cli import console, ops
from builder.cli.commands import COMMANDS
from builder.cli.console import (
    ConsoleProgress,
    echo,
    print_json,
    print_table,
    printing_markdown,
)
from builder.cli.failures import describe_failure
from builder.cli.main import cli, main
from builder.errors import (
    BuilderError,
    ConfigurationError,
    ExitCode,
    Hint,
    ModelError,
    NativeBuildError,
    PackagingError,
    SourceError,
    ToolchainError,
    Use,
    VerificationError,
)
from builder.system.progress import Titled
from tests.json_schemas import make_validator

MODELS = Path(__file__).parents[2] / "data/models"


@pytest.fixture
def run(monkeypatch):
    """Runs `main` with arguments; returns its exit code."""

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["builder", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    return call


@pytest.fixture
def fail(monkeypatch, run):
    """Runs a command that raises `error`; returns the exit code."""

    def call(error: BaseException, *options: str) -> int:
        @click.command("ops")
        def command() -> None:
            raise error

        monkeypatch.setattr(ops, "command", command)
        return run(*options, "ops")

    return call


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BuilderError, 2),
        (ConfigurationError, 2),
        (ModelError, 3),
        (SourceError, 4),
        (ToolchainError, 5),
        (NativeBuildError, 6),
        (PackagingError, 7),
        (VerificationError, 8),
    ],
)
def test_errors_become_exit_codes_with_message_and_hint(fail, capsys, error, code):
    assert fail(error("it is broken: x", hint="builder doctor")) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "error: it is broken: x\nhint: builder doctor\n"


def test_every_error_type_is_covered_and_every_code_documented():
    kinds = {kind.exit_code for kind in (*BuilderError.__subclasses__(), BuilderError)}
    assert kinds == set(ExitCode) - {ExitCode.OK, ExitCode.INTERNAL}
    for code in {*kinds, ExitCode.INTERNAL}:
        assert f"{int(code)} " in (cli.epilog or "")


def test_a_long_line_of_an_error_is_cut(fail, capsys):
    fail(ConfigurationError("a" * 8_000_000 + "\nshort"))
    said = capsys.readouterr().err
    assert len(said) < 2_100
    assert said.splitlines()[-1].strip() == "short"


def test_without_a_hint_there_is_no_empty_one(fail, capsys):
    fail(ModelError("broken"))
    assert capsys.readouterr().err == "error: broken\n"


def test_with_json_an_error_is_one_document_on_stdout_and_text_on_stderr(run, capsys):
    assert run("ops", "--json", "there-is-no-such.ptl") == 3
    said = capsys.readouterr()
    answer = json.loads(said.out)
    make_validator("error").validate(answer)
    assert answer["error"]["code"] == "model"
    assert answer["error"]["exit_code"] == 3
    assert f"error: {answer['error']['message']}\n" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("ops", "--json"), "configuration", "see how it is used: builder ops --help"),
        (("bulid", "--json"), "configuration", "see how it is used: builder --help"),
        (("build", "--json", "--max-size", "2x", "a.ptl"), "configuration", "--help"),
    ],
)
def test_wrong_usage_is_json_too(run, capsys, monkeypatch, tmp_path, arguments, code, hint):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    answer = json.loads(capsys.readouterr().out)
    make_validator("error").validate(answer)
    assert answer["error"]["code"] == code
    assert hint in answer["error"]["hints"][0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (click.Abort(), "interrupted"),
        (ZeroDivisionError("x / 0"), "internal"),
        (PackagingError("full"), "packaging"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "configuration"),
    ],
)
def test_every_kind_of_error_has_json(error, code, monkeypatch, run, capsys):
    @click.command("ops")
    @click.option("--json", is_flag=True)
    def command(json: bool) -> None:
        raise error

    monkeypatch.setattr(ops, "command", command)
    assert run("ops", "--json")
    answer = json.loads(capsys.readouterr().out)
    make_validator("error").validate(answer)
    assert answer["error"]["code"] == code


def test_json_behind_two_dashes_is_an_argument(run, capsys):
    assert run("ops", "--", "--json") == 3
    assert capsys.readouterr().out == ""


def test_an_answer_gets_the_error_that_follows_it(monkeypatch, run, capsys):
    @click.command("ops")
    @click.option("--json", is_flag=True)
    def command(json: bool) -> None:
        with console.printing_json("build", {"products": {}}):
            raise VerificationError("too large", hint="builder size out")

    monkeypatch.setattr(ops, "command", command)
    assert run("ops", "--json") == 8
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "error": {
            "code": "verification",
            "exit_code": 8,
            "hints": ["builder size out"],
            "message": "too large",
        },
        "products": {},
        "schema": 1,
    }


def test_debug_adds_the_traceback(fail, capsys):
    assert fail(ModelError("broken"), "--debug") == 3
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.endswith("error: broken\n")
    fail(ModelError("broken"))
    assert "Traceback" not in capsys.readouterr().err


def test_a_full_disk(fail, capsys):
    error = OSError(errno.ENOSPC, "No space left on device", "/cache/a b.o")
    assert fail(error) == 2
    said = capsys.readouterr().err
    assert "error: No space left on device: /cache/a b.o\n" in said
    assert "hint: free some space" in said


def test_other_errors_of_the_system(fail, capsys):
    assert fail(PermissionError(errno.EACCES, "Permission denied", "/root/x")) == 2
    said = capsys.readouterr().err
    assert said == "error: Permission denied: /root/x\n"
    assert fail(OSError("odd")) == 2
    assert capsys.readouterr().err == "error: odd\n"


def test_interruption_says_how_to_go_on(fail, capsys):
    assert fail(KeyboardInterrupt()) == 130
    assert "run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x / 0"), MemoryError(), RecursionError("deep")]
)
def test_a_defect_says_what_to_report(fail, capsys, error):
    assert fail(error) == 70
    said = capsys.readouterr().err
    assert said.startswith(f"error: this is a bug of builder: {type(error).__name__}")
    assert str(error) in said
    assert f"builder {__version__}, Python 3" in said
    assert "  builder ops\n" in said
    assert "builder --debug ops" in said
    assert "Traceback" not in said
    assert fail(error, "--debug") == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_defect_names_the_place_in_builder(monkeypatch, run, capsys):
    monkeypatch.setattr("builder.models.read.read_lite_stream", lambda *_: int("x"))
    assert run("ops", str(MODELS / "conv.ptl")) == 70
    said = capsys.readouterr().err
    assert re.search(r"ValueError: .*, builder/models/read\.py:\d+\n", said)


HOSTILE = "a\x1b]0;title\x07\x9b31m\u202eb\r\x7f\u2066\udc9b\ud800"
ESCAPED = r"a\x1b]0;title\x07\x9b31m\u202eb\x0d\x7f\u2066\x9b\ud800"


def test_texts_of_files_cannot_control_the_terminal(fail, capsys):
    fail(ModelError(f"line\n\t{HOSTILE}", hint=HOSTILE), "--debug")
    said = capsys.readouterr().err
    assert said.endswith(f"error: line\n\t{ESCAPED}\nhint: {ESCAPED}\n")
    assert not set(HOSTILE) - {"a", "b", "]", "0", ";", "3", "1", "m", *"title"} & set(said)
    fail(click.UsageError(HOSTILE))
    assert ESCAPED in capsys.readouterr().err
    fail(OSError(errno.EACCES, "Permission denied", HOSTILE))
    assert ESCAPED in capsys.readouterr().err
    fail(ZeroDivisionError(HOSTILE))
    assert ESCAPED in capsys.readouterr().err


def test_lines_of_a_message_have_no_marks(fail, capsys):
    fail(ModelError("key a\nhint: run evil\n==> done: unknown key", hint="b\nerror: c"))
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "error: key a",
        "  hint: run evil",
        "  ==> done: unknown key",
        "hint: b",
        "  error: c",
    ]


ORDERS = ("::add-mask::passed", "##[error]x", "##vso[task.complete]x", "##VSO[x]")


def test_names_are_no_commands_to_a_log(capsys):
    rows = [(f"{space}{name}", "1") for name in ORDERS for space in ("", " ", "\u00a0")]
    print_table(("name", "bytes"), rows)
    with printing_markdown():
        print_table(("name", "bytes"), rows)
    for name in ORDERS:
        echo(f"of\n\n  {name}\naten::add::x", err=True)
        ConsoleProgress().step(name)
    error = describe_failure(ModelError(" ".join(ORDERS))).to_json()
    said, made = capsys.readouterr(), console.render_json("error", {"error": error})
    for line in (said.out + said.err + made).splitlines():
        assert not line.strip().startswith("::")
        assert "##[" not in line
        assert "##vso[" not in line.lower()
    assert "\\x3a:add-mask::passed" in said.out
    assert "\naten::add::x" in said.err
    assert json.loads(made)["error"]["message"] == " ".join(ORDERS)


def test_notes_have_the_options_of_the_command_that_runs(capsys, monkeypatch):
    note = Hint("note: try ", Use("capture", "script"), " or ", Use("optimisation.enabled", False))
    for command, said in (
        ("release", "--via script of builder export or --no-optimize of builder export"),
        ("export", "--via script or --no-optimize"),
    ):
        monkeypatch.setattr(sys, "argv", ["builder", command])
        for progress, title in (
            (ConsoleProgress(), ""),
            (Titled(ConsoleProgress(), "detector"), "detector: "),
        ):
            progress.note(note)
            assert capsys.readouterr().err == f"    {title}note: try {said}\n"


def test_names_on_the_command_line_cannot_forge_lines(run, capsys):
    name = "a\nhint: b/c\nerror: d.ptl"
    assert run("ops", name) == 3
    said = capsys.readouterr().err
    assert said.startswith(r"error: a\x0ahint: b/c\x0aerror: d.ptl does not exist")
    assert run("ops", "absent.ptl") == 3
    assert capsys.readouterr().err.startswith("error: absent.ptl does not exist")


def test_all_that_the_command_line_prints_is_escaped():
    """`click.echo` and `print` stand in one module only."""
    folder = Path(builder.__file__).parent
    for path in folder.rglob("*.py"):
        found = re.findall(
            r"\bclick\.s?echo\(|(?<![\w.])print\(|\bstd(?:out|err)\.write\(", path.read_text()
        )
        allowed = path.name in {"console.py", "completion.py"}
        assert allowed or not found, f"{path}: {found}"


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("ops", "--nonsense"), ("plan",), ("build",), ("--nonsense",)]
)
def test_wrong_usage_is_2(run, capsys, arguments):
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    message, hint = said.err.splitlines()
    assert message.startswith("error: ")
    command = f"builder {arguments[0]}" if arguments[0] in COMMANDS else "builder"
    assert hint == f"hint: see how it is used: {command} --help"


@pytest.mark.parametrize(
    "arguments",
    [
        ("ops", ""),
        ("check", ""),
        ("bench", "a.ptl", ""),
        ("build", "a.ptl", "-o", ""),
        ("plan", "--config", ""),
        ("lock", "-o", ""),
        ("init", "--schema", ""),
        ("release", "--summary", ""),
        ("export", "mobilenet_v2", "-o", "a.ptl", "--extra-file", "a="),
        ("export", "", "-o", "a.ptl"),
        ("plan", "a.ptl", "--lock", ""),
        ("plan", "--ops-list", ""),
        ("fetch", "--mirror", ""),
    ],
)
def test_an_empty_path_is_not_the_current_folder(run, capsys, arguments):
    assert run(*arguments) == 2
    assert "empty; was a variable not set?" in capsys.readouterr().err


def test_a_missing_argument_is_named(run, capsys):
    run("build")
    said = capsys.readouterr().err
    assert said.startswith("error: missing argument 'MODEL...', or --ops-list NAME, or a file ")


def test_the_name_of_a_file_at_the_beginning_is_kept(fail, capsys):
    assert fail(click.UsageError("Options.aar is not an AAR.")) == 2
    assert capsys.readouterr().err.startswith("error: Options.aar is not an AAR\n")


def test_builder_alone_shows_its_help(run, capsys):
    run()
    said = capsys.readouterr()
    assert (said.out + said.err).startswith("Usage: builder [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize("name", ["build", "plan"])
def test_a_model_that_is_not_there_is_3(run, capsys, monkeypatch, name, tmp_path):
    for module in (api, libraries):
        monkeypatch.setattr(module, "locate_toolchain", lambda target, **_: make_toolchain())
    monkeypatch.setattr(planning, "digest_deciding_files", lambda *_: "0")
    assert run(name, str(tmp_path / "no such model.ptl"), "--abi", "linux-x86_64") == 3
    assert "no such model.ptl" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["build", "plan"])
def test_an_unknown_abi_lists_the_known_ones(run, capsys, name):
    assert run(name, "m.ptl", "--abi", "android-z80") == 2
    said = capsys.readouterr().err
    assert "unknown ABI 'android-z80'; known are arm64-v8a, armeabi-v7a, ios-arm64" in said
    assert "builder doctor" in said


def test_version_and_help(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert run("--version") == 0
    assert capsys.readouterr().out == f"builder, version {__version__}\n"
    assert run("-h") == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said and text in said for name, text in COMMANDS.items())


def test_python_runs_the_package_as_the_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["python -m builder", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("builder", run_name="__main__")
    assert not end.value.code
    assert capsys.readouterr().out == f"builder, version {__version__}\n"


def test_an_exit_code_of_a_command_is_passed_on(run, monkeypatch):
    @click.command("ops")
    @click.pass_context
    def command(context: click.Context) -> None:
        context.exit(8)

    monkeypatch.setattr(ops, "command", command)
    assert run("ops") == 8


def test_one_long_name_does_not_pad_every_row(capsys):
    print_table(("name", "bytes"), [("n" * 60_000, 1), ("short", 2), ("a\nb", 3)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "n" * 60_000 + "      1"
    assert lines[3] == "short".ljust(120) + "      2"
    assert lines[4] == r"a\x0ab".ljust(120) + "      3"


def test_json_stays_json_whatever_names_hold(capsys):
    value = {"bytecode_versions": [], "custom_classes": [], "models": []}
    value["operators"] = {HOSTILE: [HOSTILE + "\x00\u2028"]}
    print_json("ops", value)
    said = capsys.readouterr().out
    assert json.loads(said) == value | {"schema": 1}
    assert said.isascii()


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("buld", "m.ptl"), "build"),
        (("verfy",), "verify"),
        (("build", "--profle", "size"), "--profile"),
    ],
)
def test_a_mistyped_name_brings_the_one_that_was_meant(run, capsys, arguments, near):
    assert run(*arguments) == 2
    # click words its part of this, about options, differently in each version.
    _, found, named = capsys.readouterr().err.partition("id you mean")
    assert found
    assert near in named


def test_a_name_that_resembles_none_brings_no_other(run, capsys):
    assert run("zzz") == 2
    error = capsys.readouterr().err
    assert "no such command 'zzz'" in error
    assert "Did you mean" not in error
