from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from samples import building, make_plan, make_toolchain

from builder import api
from builder.api import (
    AarResult,
    BuildReport,
    BuildRequest,
    PackageOptions,
    RuntimeResult,
    link,
)
from builder.cli.build import command
from builder.cli.hints import show_hint
from builder.core.artifacts import Package, SizeReport
from builder.core.dtypes import DtypeSet
from builder.core.plan import Flavour, Profile
from builder.core.toolchain import Stl, ToolchainOptions
from builder.errors import ConfigurationError, NativeBuildError, VerificationError
from builder.platforms.android.package import AarOptions, Coordinates, WrittenAar
from builder.sources.releases import load_release
from builder.verify.policy import PolicyReport

TERSE = ("--profile", "debug", "--strip-error-messages")
ROOT = Path("my out/linux-x86_64")
SIZE = SizeReport(file=1234567, compressed=654321, sections={}, parts={}, units={})
RUNTIME = RuntimeResult(
    plan=make_plan(),
    package=Package(
        root=ROOT,
        library=ROOT / "lib/libtorchlite.so",
        runner=ROOT / "bin/torchlite-run",
        manifest=ROOT / "manifest.json",
    ),
    runner=ROOT / "bin/torchlite-run",
    size=SIZE,
    units_linked=2,
    units_known=1500,
    units_compiled=1,
    rounds=4,
    seconds=12.3456,
    logs=Path("/cache/logs"),
)
WRITTEN = WrittenAar(
    coordinates=Coordinates(version="2.6.0-1"),
    repository=Path("out/maven"),
    folder=Path("out/maven/x"),
    aar=Path("out/maven/x/x.aar"),
    symbols=Path("out/maven/x/symbols.zip"),
)
REPORT = PolicyReport(files=("a.so",), rules=("relro", "needed"), min_api=21, findings=())
AAR = AarResult(
    written=WRITTEN,
    sizes={"arm64-v8a": replace(SIZE, file=1000, compressed=600)},
    report=REPORT,
)
JSON_KEYS = [
    *("abi", "compressed_size", "dtypes", "library", "logs", "manifest", "operators", "plan_key"),
    *("reused", "rounds", "runner", "seconds", "size", "skipped"),
    *("units_compiled", "units_known", "units_linked"),
]


def make_runtime(target, **changes):
    """Returns what was built for a target."""
    return replace(RUNTIME, plan=make_plan(target=target), **changes)


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def build(request, targets, output, options, *, progress, locked):
        seen.append((request, list(map(str, targets)), output, options))
        return BuildReport(runtimes=tuple(map(make_runtime, targets)))

    monkeypatch.setattr(api, "build_products", building(build))
    monkeypatch.setattr(link, "locate_toolchain", lambda target, **_: make_toolchain(target=target))
    return seen


def run(*arguments: str, abi: str = "linux-x86_64") -> Result:
    return CliRunner().invoke(command, ["m.ptl", "--abi", abi, *arguments], catch_exceptions=False)


def test_defaults(asked):
    assert run().exit_code == 0
    request = BuildRequest(inputs=(Path("m.ptl"),))
    assert asked == [(request, ["linux-x86_64"], Path("out"), PackageOptions())]


def test_every_option_reaches_the_use_case(asked, tmp_path):
    given = ("-o", "my out", "-j", "3", "--lock-timeout", "0.5", "--launcher", "distcc")
    android = ("--ndk", str(tmp_path), "--stl", "c++_shared", "--page-size", "65536")
    asked_for = ("other model.pt", *given, *android, *TERSE)
    run(*asked_for, "--skip-unknown", "--dtypes", "float32", "--pytorch", "2.6.0", abi="arm64-v8a")
    request = BuildRequest(
        inputs=(Path("m.ptl"), Path("other model.pt")),
        pytorch=load_release("2.6.0"),
        flavour=Flavour(profile=Profile.DEBUG, strip_error_messages=True),
        dtypes=DtypeSet.of(["float32"]),
        jobs=3,
        tools=ToolchainOptions(launcher="distcc", ndk=tmp_path, stl=Stl.SHARED, page_size=65536),
        lock_timeout=0.5,
        skip_unknown=True,
    )
    assert asked == [(request, ["arm64-v8a"], Path("my out"), PackageOptions())]


def test_each_abi_is_built_once_in_the_order_given(asked):
    run("--abi", "linux-aarch64", "--abi", "linux-x86_64")
    assert asked[0][1] == ["linux-x86_64", "linux-aarch64"]


@pytest.fixture
def with_aar(monkeypatch):
    """Answers with an AAR, and records the options that were given for it."""
    seen = []

    def build(request, targets, output, options, *, progress, locked):
        seen.append(options.android)
        return BuildReport(runtimes=tuple(map(make_runtime, targets)), aar=AAR)

    monkeypatch.setattr(api, "build_products", building(build))
    return seen


def test_android_runtimes_go_into_an_aar(with_aar):
    named = ("--group", "com.app", "--artifact", "lite", "--aar-version", "7", "--prefab")
    output = run(*named, abi="arm64-v8a").output
    assert with_aar == [AarOptions(group="com.app", artifact="lite", version="7", prefab=True)]
    assert "2 on 1 library" in output
    assert 'implementation("org.pytorch:pytorch_android_lite:2.6.0-1")' in output
    assert json.loads(run("--json", abi="arm64-v8a").stdout)["aar"]["sizes"] == {
        "arm64-v8a": {"compressed_size": 600, "size": 1000}
    }


def test_an_android_budget_is_the_library_in_the_aar(with_aar):
    assert run("--max-size", "2KB", abi="arm64-v8a").exit_code == 0
    with pytest.raises(VerificationError):
        run("--max-size", "999", abi="arm64-v8a")


def test_the_launcher_may_come_from_the_environment(asked, monkeypatch):
    monkeypatch.setenv("BUILDER_LAUNCHER", "none")
    run()
    run("--launcher", "ccache")
    assert [request.tools.launcher for request, *_ in asked] == ["none", "ccache"]


def test_result_for_people(asked):
    output = run().output
    for text in ("my out/linux-x86_64", "1,234,567", "654,321", "2 of 1500", "12.3"):
        assert text in output
    assert "/cache/logs" not in output


def test_a_runtime_that_was_there_already_is_said_to_be(asked, monkeypatch):
    report = BuildReport(runtimes=(replace(RUNTIME, units_compiled=0, is_reused=True),))
    monkeypatch.setattr(api, "build_products", building(lambda *_, **__: report))
    output = run().output
    assert "nothing to do" in output
    assert "seconds" not in output
    assert "took" not in output
    assert json.loads(run("--json").stdout)["runtimes"][0]["reused"] is True


def test_the_time_of_the_whole_build_is_the_last_line(asked, monkeypatch):
    report = BuildReport(runtimes=(RUNTIME,), seconds=185.25)
    monkeypatch.setattr(api, "build_products", building(lambda *_, **__: report))
    assert run().stdout.splitlines()[-1] == "the whole build took 3m05s"
    assert json.loads(run("--json").stdout)["seconds"] == 185.25


def test_operators_left_out_are_named_and_not_counted(asked, monkeypatch):
    first = str(next(iter(RUNTIME.plan.operator_list.operators)))
    report = BuildReport(runtimes=(replace(RUNTIME, skipped=(first, "aten::of_an_upgrader")),))
    monkeypatch.setattr(api, "build_products", building(lambda *_, **__: report))
    assert f"{first}, aten::of_an_upgrader" in run().output
    value = json.loads(run("--json").stdout)
    (value,) = value["runtimes"]
    assert value["skipped"] == [first, "aten::of_an_upgrader"]
    assert value["operators"] == len(RUNTIME.plan.operator_list.operators) - 1


def test_verbose_says_where_the_logs_are(asked):
    assert "logs: /cache/logs" in run("--verbose").stderr


def test_result_for_programs(asked):
    result = run("--json")
    assert json.loads(result.stdout)["aar"] is None
    (value,) = json.loads(result.stdout)["runtimes"]
    assert list(value) == JSON_KEYS
    assert (value["size"], value["units_linked"], value["seconds"]) == (1234567, 2, 12.346)
    assert value["plan_key"] == RUNTIME.plan.key


def test_a_dry_run_builds_nothing(asked, tmp_path):
    path = tmp_path / "ops.txt"
    path.write_text("aten::relu\n")
    given = [str(path), "--abi", "linux-x86_64", "--dry-run", "--json"]
    result = CliRunner().invoke(command, given, catch_exceptions=False)
    assert json.loads(result.output)["plans"][0]["operators"] == {"aten::relu": ["ops.txt"]}
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

    monkeypatch.setattr(api, "build_products", fail)
    with pytest.raises(NativeBuildError):
        run()


@pytest.mark.parametrize(
    "given",
    [
        *(("--group", "com.app"), ("--artifact", "x"), ("--aar-version", "1 2"), ("--prefab",)),
        *(("--stl", "c++_shared"), ("--page-size", "16384"), ("--ndk", ".")),
        *(("--apple-sdk", "."), ("--pod-version", "1.2"), ("--metal",), ("--min-ios", "15.0")),
        *(("--xcframework-url", "https://example.org/x.zip"), ("--min-api", "24")),
        ("--asset", __file__),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_options_for_none_of_the_abis_are_refused(asked, given, dry):
    named = {"--metal": "Metal", "--min-api": "API level", "--min-ios": "iOS"}
    said = named.get(given[0], given[0])
    with pytest.raises(
        ConfigurationError, match=f"{said}.*this build is for linux-x86_64"
    ) as caught:
        run(*given, *dry)
    hint = show_hint(caught.value.hint, "build")
    assert "--abi" in hint
    assert hint.endswith(f"leave out {given[0]}")
    assert asked == []


def test_an_option_for_one_of_the_abis_is_taken(asked):
    assert run("--abi", "arm64-v8a", "--group", "com.app").exit_code == 0
    assert asked[0][1] == ["linux-x86_64", "arm64-v8a"]


@pytest.mark.parametrize("option", ["--max-size", "--max-compressed"])
@pytest.mark.parametrize("abi", ["arm64", "arm64-v8a", "linux-x86_64 x"])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_budget_of_an_abi_that_is_not_built_is_refused(asked, option, abi, dry):
    with pytest.raises(ConfigurationError, match=f"{option} {abi}=2MB.*only linux-x86_64"):
        run(option, f"{abi}=2MB", *dry)
    assert asked == []


@pytest.mark.parametrize(
    "given",
    [
        *(("--lock-timeout", text) for text in ("nan", "inf", "-inf", "-1")),
        *(("-j", text) for text in ("10001", "1000000000000000000000", "-1")),
        *(("--max-size", text) for text in ("2.5", "nan", "-5MB")),
    ],
)
def test_numbers_that_make_no_sense_are_refused(asked, given):
    assert run(*given).exit_code == 2
    assert asked == []


def test_an_unknown_launcher_is_refused_in_a_dry_run_too(asked, tmp_path):
    model = tmp_path / "ops.yaml"
    model.write_text("- aten::add.Tensor\n")
    with pytest.raises(ConfigurationError, match="unknown launcher 'foo'"):
        run(str(model), "--launcher", "foo", "--dry-run")
