from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from samples import make_plan, make_toolchain

from builder import api
from builder.api import BuildOutcome
from builder.cli.build import command
from builder.core.artifacts import LinkResult, Package, SizeReport
from builder.core.profile import Flavour, Profile
from builder.errors import NativeBuildError

TERSE = ("--profile", "debug", "--strip-error-messages")
ROOT = Path("my out/linux-x86_64")
OUTCOME = BuildOutcome(
    plan=make_plan(),
    package=Package(
        root=ROOT,
        library=ROOT / "lib/libtorchlite.so",
        runner=ROOT / "bin/torchlite-run",
        manifest=ROOT / "manifest.json",
    ),
    linked=LinkResult(
        library=Path("a"),
        unstripped=Path("b"),
        map_file=Path("c"),
        runner=Path("d"),
        units=("x.cpp", "y.cpp"),
        units_compiled=1,
        units_known=1500,
        rounds=4,
        seconds=12.3456,
    ),
    size=SizeReport(file=1234567, compressed=654321, sections={}, parts={}, units={}),
    logs=Path("/cache/logs"),
)
JSON_KEYS = [
    *("compressed_size", "dtypes", "library", "logs", "manifest", "operators", "plan_key"),
    *("rounds", "runner", "seconds", "size", "skipped"),
    *("units_compiled", "units_known", "units_linked"),
]


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def build(paths, target, output, **options):
        options.pop("progress")
        seen.append((paths, str(target), output, options))
        return OUTCOME

    monkeypatch.setattr(api, "build_runtime", build)
    monkeypatch.setattr(api, "locate_toolchain", lambda target, **_: make_toolchain(target=target))
    return seen


def run(*arguments: str) -> Result:
    return CliRunner().invoke(
        command, ["m.ptl", "--abi", "linux-x86_64", *arguments], catch_exceptions=False
    )


def test_defaults(asked):
    assert run().exit_code == 0
    options = {
        "flavour": Flavour(),
        "dtypes": None,
        "jobs": None,
        "launcher": "auto",
        "lock_timeout": -1.0,
        "skip_unknown": False,
    }
    assert asked == [((Path("m.ptl"),), "linux-x86_64", Path("out"), options)]


def test_every_option_reaches_the_use_case(asked):
    given = ("-o", "my out", "-j", "3", "--lock-timeout", "0.5", "--launcher", "distcc")
    run("other model.pt", *given, *TERSE, "--skip-unknown")
    assert asked == [
        (
            (Path("m.ptl"), Path("other model.pt")),
            "linux-x86_64",
            Path("my out"),
            {
                "flavour": Flavour(profile=Profile.DEBUG, strip_error_messages=True),
                "dtypes": None,
                "jobs": 3,
                "launcher": "distcc",
                "lock_timeout": 0.5,
                "skip_unknown": True,
            },
        )
    ]


def test_the_launcher_may_come_from_the_environment(asked, monkeypatch):
    monkeypatch.setenv("BUILDER_LAUNCHER", "none")
    run()
    run("--launcher", "ccache")
    assert [options["launcher"] for *_, options in asked] == ["none", "ccache"]


def test_result_for_people(asked):
    output = run().output
    for text in ("my out/linux-x86_64", "1,234,567", "654,321", "2 of 1500", "12.3"):
        assert text in output
    assert "/cache/logs" not in output


def test_operators_left_out_are_named_and_not_counted(asked, monkeypatch):
    first = str(next(iter(OUTCOME.plan.operator_list.operators)))
    outcome = replace(OUTCOME, skipped=(first, "aten::of_an_upgrader"))
    monkeypatch.setattr(api, "build_runtime", lambda *_, **__: outcome)
    assert f"{first}, aten::of_an_upgrader" in run().output
    value = json.loads(run("--json").stdout)
    assert value["skipped"] == [first, "aten::of_an_upgrader"]
    assert value["operators"] == len(OUTCOME.plan.operator_list.operators) - 1


def test_verbose_says_where_the_logs_are(asked):
    assert "logs: /cache/logs" in run("--verbose").stderr


def test_result_for_programs(asked):
    result = run("--json")
    value = json.loads(result.stdout)
    assert list(value) == JSON_KEYS
    assert (value["size"], value["units_linked"], value["seconds"]) == (1234567, 2, 12.346)
    assert value["plan_key"] == OUTCOME.plan.key


def test_a_dry_run_builds_nothing(asked, tmp_path):
    path = tmp_path / "ops.txt"
    path.write_text("aten::relu\n")
    given = [str(path), "--abi", "linux-x86_64", "--dry-run", "--json"]
    result = CliRunner().invoke(command, given, catch_exceptions=False)
    assert json.loads(result.output)["operators"] == {"aten::relu": ["ops.txt"]}
    assert asked == []


@pytest.mark.parametrize("options", [("-j", "0"), ("-j", "x"), ("--lock-timeout", "soon")])
def test_wrong_numbers_are_refused(asked, options):
    assert run(*options).exit_code == 2
    assert asked == []


def test_output_must_be_a_folder(asked, tmp_path):
    (tmp_path / "file").touch()
    assert run("-o", str(tmp_path / "file")).exit_code == 2
    assert asked == []


def test_errors_come_through(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise NativeBuildError("a.cpp does not compile")

    monkeypatch.setattr(api, "build_runtime", fail)
    with pytest.raises(NativeBuildError):
        run()
