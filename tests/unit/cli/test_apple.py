"""Building for Apple's systems, `check` and `size` on xcframeworks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from apple_sdks import add_frameworks, make_sdk
from click.testing import CliRunner
from machos import make_archive, make_object
from samples import FakeRunner, building, make_info, make_manifest, make_toolchain

from builder import api
from builder.api import AppleResult, BuildReport, link
from builder.cli import build, check, plan, size
from builder.cli.hints import show_hint
from builder.core.operators import Operator
from builder.core.targets import parse_target
from builder.errors import ConfigurationError, ModelError, ToolchainError, VerificationError
from builder.packaging.headers import list_headers
from builder.platforms.apple import accelerators
from builder.platforms.apple import build as apple
from builder.platforms.apple.frameworks import list_frameworks
from builder.platforms.apple.package import (
    AppleLibrary,
    AppleOptions,
    ApplePackage,
    AppleSlice,
    WrittenApple,
)
from builder.platforms.apple.repository import write_apple
from builder.sources.releases import load_release
from builder.system.folders import data_folder
from builder.system.process import Runner
from builder.verify.policy import PolicyReport

from .test_build import SIZE, make_runtime

MODEL = Path(__file__).parents[2] / "data/models/conv.ptl"
SERVING = ("aten::mean.dim", "prepacked::conv2d_clamp_run", "prepacked::linear_clamp_run")
WRITTEN = WrittenApple(
    folder=Path("out/apple"),
    framework=Path("out/apple/LibTorchLite.xcframework"),
    archive=Path("out/apple/LibTorchLite.xcframework.zip"),
    checksum="ab" * 32,
    version="2.6.0.1",
)
REPORT = PolicyReport(files=("a",), rules=("members",), min_api=0, findings=(), oldest="iOS 14.0")


def run(module, *arguments):
    return CliRunner().invoke(module.command, list(map(str, arguments)), standalone_mode=False)


def plan_without_tools(monkeypatch):
    """Lets plans be made without any tool, and without fetching what Apple's toolchains need."""
    monkeypatch.setattr(link, "locate_toolchain", lambda target, **_: make_toolchain(target=target))
    module = link.platform_of(parse_target("ios-arm64"))
    monkeypatch.setattr(module, "fetch_toolchain_sources", lambda *_, **__: None)


@pytest.fixture
def asked(monkeypatch):
    """Records what was asked of `api`, and answers."""
    seen = []

    def build_all(request, targets, output, options, *, progress, locked):
        seen.extend((*targets, options))
        runtimes = tuple(map(make_runtime, targets))
        sizes = {str(target): SIZE for target in targets}
        archives = dict.fromkeys(sizes, 5_000_000)
        apple = AppleResult(written=WRITTEN, sizes=sizes, archives=archives, report=REPORT)
        is_apple = any(target.is_apple for target in targets)
        return BuildReport(runtimes=runtimes, apple=apple if is_apple else None)

    monkeypatch.setattr(api, "build_products", building(build_all))
    return seen


def test_each_abi_is_built_and_all_are_packed_together(asked, tmp_path):
    (tmp_path / "model.ptl").touch()
    result = run(
        *(build, "m.ptl", "--abi", "ios-arm64", "--abi", "ios-simulator-arm64"),
        *("--min-ios", "15.0", "--asset", tmp_path / "model.ptl", "--pod-version", "3.1.4"),
    )
    device, simulator, options = asked
    assert (device.id, simulator.id) == ("ios-arm64-15.0", "ios-simulator-arm64-15.0")
    assert options.apple == AppleOptions(version="3.1.4")
    assert options.assets == (tmp_path / "model.ptl",)
    assert "LibTorchLite.xcframework" in result.output
    assert "static library 5,000,000" in result.output
    assert "pod 'LibTorch-Lite', :path =>" in result.output
    assert WRITTEN.checksum in result.output


def test_json(asked):
    result = run(build, "m.ptl", "--abi", "ios-arm64", "--json")
    apple = json.loads(result.output)["apple"]
    assert apple["sizes"]["ios-arm64"]["archive"] == 5_000_000
    assert (apple["checksum"], apple["version"]) == (WRITTEN.checksum, "2.6.0.1")
    linux = json.loads(run(build, "m.ptl", "--abi", "linux-x86_64", "--json").output)
    assert linux["apple"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--min-ios", "11.0"), "only Apple's ABIs have such a version, 12.0 or newer"),
        (("--min-ios", "new"), "'new' is not a version of iOS"),
        (("--abi", "linux-x86_64", "--min-api", "21"), "is for Android's ABIs"),
        (("--abi", "linux-x86_64", "--min-api", "21", "--metal"), "is for Android's ABIs"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(asked, arguments, message):
    result = run(build, "m.ptl", "--abi", "ios-arm64", *arguments)
    assert isinstance(result.exception, ConfigurationError)
    assert message in result.exception.message
    assert asked == []


@pytest.mark.parametrize(("option", "name"), [("--metal", "Metal"), ("--coreml", "Core ML")])
@pytest.mark.parametrize("command", [build, plan])
def test_accelerators_are_for_apples_abis_and_sdks(asked, monkeypatch, option, name, command):
    monkeypatch.setattr(accelerators, "is_mac", lambda: False)
    result = run(command, "m.ptl", "--abi", "linux-x86_64", "--abi", "arm64-v8a", option)
    assert isinstance(result.exception, ConfigurationError)
    assert f"{name} can be built for Apple's ABIs only" in result.exception.message
    hint = show_hint(result.exception.hint, "build")
    assert hint == f"name one, e.g. --abi ios-arm64, or leave out {option}"
    result = run(command, "m.ptl", "--abi", "ios-arm64", option)
    assert isinstance(result.exception, ToolchainError)
    assert "the open headers contain no frameworks" in result.exception.message
    assert asked == []


def test_an_sdk_of_apples_decides_whether_accelerators_can_be_built(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(accelerators, "is_mac", lambda: False)
    sdk = make_sdk(tmp_path / "iPhoneOS.sdk", "iphoneos")
    arguments = (build, "m.ptl", "--abi", "ios-arm64", "--apple-sdk", sdk, "--metal", "--coreml")
    result = run(*arguments)
    assert "iphoneos17.2 lacks parts that Core ML needs" in result.exception.message
    assert "CoreML.framework" in result.exception.message
    add_frameworks(sdk, *list_frameworks(load_release().backends.values()))
    assert run(*arguments).exception is None
    assert asked[0] == parse_target("ios-arm64")


def test_under_macos_it_is_xcodes_sdk_that_decides(asked, monkeypatch, tmp_path):
    sdk = make_sdk(tmp_path / "iPhoneOS.sdk", "iphoneos")
    add_frameworks(sdk, "Foundation", "UIKit", "CoreFoundation", "CoreML")
    monkeypatch.setattr(accelerators, "is_mac", lambda: True)
    monkeypatch.setattr(Runner, "inherit_for_tools", lambda: FakeRunner.saying(f"{sdk}\n"))
    assert run(build, "m.ptl", "--abi", "ios-arm64", "--coreml").exception is None
    result = run(build, "m.ptl", "--abi", "ios-arm64", "--metal")
    assert "Metal.framework, MetalPerformanceShaders.framework" in result.exception.message


def test_accelerators_are_asked_of_the_build_and_of_apples_plans_only(monkeypatch, tmp_path):
    plan_without_tools(monkeypatch)
    monkeypatch.setattr(accelerators, "is_mac", lambda: False)
    sdk = make_sdk(tmp_path / "iPhoneOS.sdk", "iphoneos")
    add_frameworks(sdk, *list_frameworks(load_release().backends.values()))
    given = ("--abi", "ios-arm64", "--abi", "linux-x86_64", "--apple-sdk", sdk, "--metal")
    apple, linux = json.loads(run(build, MODEL, *given, "--dry-run", "--json").output)["plans"]
    assert (apple["accelerators"], linux["accelerators"]) == (["metal"], [])
    assert run(plan, MODEL, *given).output.count("accelerators") == 1


def test_a_model_for_an_accelerator_is_told_the_option(framework, monkeypatch):
    lowered = make_info("aten::relu", custom_classes=("__backends__.coreml",))
    monkeypatch.setattr("builder.api.checks.read_models", lambda paths: (lowered,))
    output = run(check, MODEL, framework).output
    assert "missing custom class: __backends__.coreml\n" in output
    assert "--abi ios-arm64 --abi ios-simulator-arm64 --coreml -o out" in output


def test_a_deployment_target_is_for_apples_abis_only(asked):
    result = run(build, "m.ptl", "--abi", "linux-x86_64", "--min-ios", "15.0")
    assert "this build is for linux-x86_64" in result.exception.message
    assert run(build, "m.ptl", "--abi", "ios-arm64", "--pod-version", "v1").exception is not None


@pytest.mark.parametrize(
    ("operator", "classes", "label"),
    [
        ("vulkan_prepack::run_conv2d_context", (), "Vulkan"),
        ("aten::zeros", ("_nnapi.Compilation",), "NNAPI"),
    ],
)
def test_backends_of_other_platforms_are_refused_for_apple(operator, classes, label):
    from samples import make_list

    from builder.api.plans import refuse_absent_backends
    from builder.sources.releases import load_release

    wanted = make_list(operator, classes=classes)
    release = load_release()
    with pytest.raises(ModelError, match=f"runs on {label}, which ios-arm64 does not have"):
        refuse_absent_backends(wanted, parse_target("ios-arm64"), release)
    refuse_absent_backends(wanted, parse_target("arm64-v8a"), release)


@pytest.fixture
def framework(tmp_path):
    """Writes an xcframework that serves conv.ptl on the device, and nothing in the simulator."""
    work = tmp_path / "work"
    work.mkdir()
    libraries = []
    for abi, operators in (("ios-arm64", SERVING), ("ios-simulator-arm64", ("aten::relu",))):
        archive = work / f"{abi}.a"
        archive.write_bytes(make_archive(a_o=make_object(platform=2 if abi == "ios-arm64" else 7)))
        manifest = make_manifest(
            abi=abi,
            operators=tuple(map(Operator.parse, operators)),
            custom_classes=("xnnpack.Conv2dOpContext", "xnnpack.LinearOpContext"),
        )
        libraries.append(
            AppleLibrary(
                target=parse_target(abi),
                arch="arm64",
                archive=archive,
                manifest=manifest,
                linked=2_000_000,
                compressed=900_000,
            )
        )
    package = ApplePackage(
        version="2.6.0.1",
        libraries=tuple(libraries),
        slices=tuple(
            AppleSlice(platform=one.target.platform, archs=("arm64",), archive=one.archive)
            for one in libraries
        ),
        headers=list_headers(),
        sources=data_folder("swift"),
        licences={},
    )
    return write_apple(package, tmp_path / "out").framework


def test_check_answers_from_the_manifest_for_every_abi(framework, tmp_path):
    for path in (framework, tmp_path / "out"):
        result = run(check, MODEL, path)
        assert result.return_value == 8
        assert "missing operator: aten::mean.dim (ios-simulator-arm64)" in result.output


def test_check_without_a_model_holds_it_against_the_rules(framework, monkeypatch):
    monkeypatch.setattr(apple, "_find_sdk", lambda release, target, chosen: None)
    result = run(check, framework)
    assert result.return_value == 0
    assert "not checked: imports, needs an SDK" in result.output
    assert "no violations (libraries: 2, rules: 10, iOS 14.0)" in result.output
    slices = framework / "ios-arm64/libTorchLite.a"
    slices.write_bytes((framework / "ios-arm64-simulator/libTorchLite.a").read_bytes())
    result = run(check, framework)
    assert result.return_value == 8
    assert "platform violated: 1 object: a.o for ios-simulator" in result.output
    assert "contents violated: changed" in result.output


def test_size_shows_what_an_app_grows_by(framework, tmp_path):
    result = run(size, framework)
    assert "2,000,000" in result.output
    told = json.loads(run(size, tmp_path / "out", "--json", "--against", framework).output)
    assert told["xcframework"]["ios-arm64"]["linked"] == 2_000_000
    assert told["against"] == told["xcframework"]
    assert "against" in run(size, framework, "--against", framework).output


def test_a_budget_is_for_what_an_app_grows_by(framework):
    assert run(size, framework, "--max-size", "2MB").exception is None
    result = run(size, framework, "--max-size", "ios-arm64=1MB")
    assert isinstance(result.exception, VerificationError)
    assert "ios-arm64: " in result.exception.message


def test_what_is_for_one_library_is_refused_for_an_xcframework(framework, tmp_path):
    assert "name the folder of an ABI" in str(run(size, framework, "--operators").exception)
    assert "not an xcframework" in str(run(size, framework, "--against", tmp_path).exception)
    assert "cannot be used with a model" in str(
        run(check, MODEL, framework, "--apple-sdk", tmp_path).exception
    )


@pytest.mark.parametrize("given", [("--min-api", 30), ("--page-size", 16384), ("--ndk", ".")])
def test_options_of_android_are_refused_for_an_xcframework(framework, given):
    assert "do not apply to xcframeworks" in str(run(check, framework, *given).exception)


def test_plans_are_for_the_deployment_target(monkeypatch):
    plan_without_tools(monkeypatch)
    arguments = ("--abi", "ios-arm64", "--min-ios", "16.1", "--dry-run", "--json")
    result = run(build, MODEL, *arguments)
    (plan,) = json.loads(result.output)["plans"]
    assert (plan["abi"], plan["min_os"]) == ("ios-arm64", 160100)
