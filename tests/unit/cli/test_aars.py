"""`check` and `size` on AARs; the libraries in them are texts."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from android_samples import make_package
from click.testing import CliRunner
from samples import make_manifest

from builder.cli import check, size
from builder.cli.hints import show_hint
from builder.core.operators import Operator
from builder.errors import ConfigurationError, VerificationError
from builder.platforms.android.repository import write_aar

MODEL = Path(__file__).parents[2] / "data/models/conv.ptl"
SERVING = ("aten::mean.dim", "prepacked::conv2d_clamp_run", "prepacked::linear_clamp_run")
CLASSES = ("xnnpack.Conv2dOpContext", "xnnpack.LinearOpContext")


def run(module, *arguments):
    arguments = list(map(str, arguments))
    return CliRunner().invoke(module.command, arguments, standalone_mode=False)


def serve(library, *operators):
    manifest = make_manifest(
        abi=f"android-{library.abi}",
        operators=tuple(map(Operator.parse, operators)),
        custom_classes=CLASSES,
    )
    return replace(library, manifest=manifest)


@pytest.fixture
def make(tmp_path):
    """Writes the AAR of one ABI for each tuple of operators."""

    def write(*served):
        package = make_package(tmp_path / "work")
        pairs = zip(package.libraries, served, strict=True)
        libraries = tuple(serve(library, *operators) for library, operators in pairs)
        return write_aar(replace(package, libraries=libraries), tmp_path / "out").aar

    return write


def test_a_model_that_every_abi_serves(make, tmp_path):
    aar = make(SERVING, SERVING)
    for path in (aar, tmp_path / "out"):
        result = run(check, MODEL, path)
        assert result.return_value == 0
        assert result.output == f"{path} can run conv.ptl\n"


def test_what_one_abi_lacks_is_named_with_it(make):
    aar = make(SERVING, SERVING[1:])
    result = run(check, MODEL, aar)
    assert result.return_value == 8
    first, rebuild = result.output.splitlines()
    assert first == "missing operator: aten::mean.dim (armeabi-v7a)"
    assert rebuild.endswith("conv.ptl --abi armeabi-v7a --abi x86_64 -o out")
    result = run(check, MODEL, aar, "--json")
    assert json.loads(result.output)["obstacles"] == [
        {"kind": "operator", "name": "aten::mean.dim", "abis": ["armeabi-v7a"]}
    ]


def test_what_every_abi_lacks_is_named_once(make):
    result = run(check, MODEL, make(SERVING[1:], SERVING[1:]), "--json")
    assert json.loads(result.output)["obstacles"] == [
        {"kind": "operator", "name": "aten::mean.dim"}
    ]


def test_an_aar_alone_is_held_against_the_rules(make):
    aar = make(SERVING, SERVING)
    result = run(check, aar)
    assert result.return_value == 8
    assert "jni/x86_64/libpytorch_jni_lite.so: abi violated: not a shared library" in result.output
    assert f"{aar.name}: 2 violations (libraries: 2, rules: 15, API level 21)" in result.output
    report = json.loads(run(check, aar, "--json").output)
    assert report["ok"] is False
    assert report["rules"][-1] == "contents"
    assert {finding["verdict"] for finding in report["findings"]} == {"violated"}
    with zipfile.ZipFile(aar, "a") as archive:
        archive.writestr("jni/x86_64/extra", "")
    found = [f["file"] for f in json.loads(run(check, aar, "--json").output)["findings"]]
    assert "jni/x86_64/extra" in found


def test_the_level_is_the_declared_one_or_the_one_asked_for(make):
    aar = make(SERVING, SERVING)
    assert json.loads(run(check, aar, "--json").output)["min_api"] == 21
    assert json.loads(run(check, aar, "--json", "--min-api", 30).output)["min_api"] == 30


def test_what_does_not_go_together_is_refused(make):
    aar = make(SERVING, SERVING)
    assert "to xcframeworks only" in str(run(check, aar, "--apple-sdk", ".").exception)
    for arguments in ((MODEL, aar, "--min-api", 21), (MODEL, aar, aar)):
        assert "model" in str(run(check, *arguments).exception)
    for option in (("--units", 3), ("--operators",), ("--what-if", "aten::mul")):
        assert "do not apply to an AAR" in str(run(size, aar, *option).exception)
    result = run(size, aar, "--against", MODEL)
    assert "is not an AAR" in str(result.exception)


def test_nothing_to_check_is_an_error(tmp_path):
    assert isinstance(run(check, tmp_path).exception, ConfigurationError)
    text = tmp_path / "a.so"
    text.write_text("text")
    assert "not an AAR, a library or an xcframework" in str(run(check, text).exception)
    text.write_bytes(b"\x7fELF, and no more")
    assert run(check, text).return_value == 8


@pytest.mark.parametrize("name", ["conv.ptl", "conv_flatbuffer.ptl", "control.pt", "state_dict.pt"])
def test_a_model_without_a_runtime_gets_the_command_with_one(name):
    error = run(check, MODEL.parent / name).exception
    assert isinstance(error, ConfigurationError)
    assert error.message.endswith(", and not a package")
    wanted = {".ptl": f"builder check {MODEL.parent / name} RUNTIME", ".pt": "builder export "}
    assert wanted[Path(name).suffix] in show_hint(error.hint, "check")
    assert "RUNTIME" in error.hint


@pytest.mark.parametrize(
    "members", [("serialized_exported_program.json", "version"), ("m/archive_format", "m/version")]
)
def test_programs_of_torch_export_are_named(tmp_path, members):
    path = tmp_path / "m.pt2"
    with zipfile.ZipFile(path, "w") as file:
        for member in members:
            file.writestr(member, "")
    error = run(check, path).exception
    assert "is a program of torch.export (.pt2), and not a package" in error.message
    assert f"export({path}, output={path.with_suffix('.ptl')})" in error.hint


def test_sizes_by_abi_and_file(make, tmp_path):
    make(SERVING, SERVING)
    result = run(size, tmp_path / "out")
    lines = [line.split() for line in result.output.splitlines()]
    assert ["x86_64", "libpytorch_jni_lite.so", "14", "14"] in lines
    assert ["every", "classes.jar"] in [line[:2] for line in lines]
    assert lines[-1][:3] == ["the", "AAR", "itself:"]


def test_sizes_beside_another_aar(make, tmp_path):
    aar = make(SERVING, SERVING)
    other = tmp_path / "other.aar"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("jni/x86_64/libpytorch_jni_lite.so", b"x" * 28)
        archive.writestr("jni/x86/libfbjni.so", b"y" * 10)
    lines = [line.split() for line in run(size, aar, "--against", other).output.splitlines()]
    (row,) = [line for line in lines if line[:2] == ["x86_64", "libpytorch_jni_lite.so"]]
    assert row[2:5] == ["14", "28", "50.0%"]
    assert ["x86", "libfbjni.so", "-", "10", "-", "-"] in [line[:6] for line in lines]
    assert ["armeabi-v7a", "19", "-", "-"] in [line[:4] for line in lines]
    shown = json.loads(run(size, aar, "--against", other, "--json").output)
    assert shown["against"]["totals"]["x86"]["file"] == 10
    assert shown["aar"]["totals"]["armeabi-v7a"]["file"] == 19


def test_a_budget_of_one_abi(make):
    aar = make(SERVING, SERVING)
    assert run(size, aar, "--max-size", "x86_64=14").exception is None
    error = run(size, aar, "--max-size", "armeabi-v7a=14", "--max-size", "15").exception
    assert isinstance(error, VerificationError)
    assert "armeabi-v7a: 19 bytes are 5 more" in error.message
    assert "x86_64" not in error.message


def test_growth_since_a_report_that_was_kept(make, tmp_path):
    aar = make(SERVING, SERVING)
    kept = tmp_path / "release.json"
    kept.write_text(run(size, aar, "--json").output)
    assert run(size, aar, "--against", kept, "--max-growth", "0%").exception is None
    shown = json.loads(kept.read_text())
    for files in shown["aar"]["libraries"].values():
        for one in files.values():
            one["file"] -= 1
    kept.write_text(json.dumps(shown))
    assert run(size, aar, "--against", kept, "--max-growth", "3").exception is None
    error = run(size, aar, "--against", kept, "--max-growth", "0%").exception
    assert isinstance(error, VerificationError)
    assert "grew too much" in error.message
    # An AAR has no sizes by operator.
    assert show_hint(error.hint, "size") == f"see what grew: builder size {aar}"


@pytest.mark.parametrize("count", [-5, 0, 10**30])
def test_a_kept_report_with_senseless_sizes_is_refused(make, tmp_path, count):
    aar = make(SERVING, SERVING)
    kept = tmp_path / "release.json"
    shown = json.loads(run(size, aar, "--json").output)
    for files in shown["aar"]["libraries"].values():
        for one in files.values():
            one["file"] = count
    for wrong in (shown, {**shown, "aar": {**shown["aar"], "libraries": {}}}):
        kept.write_text(json.dumps(wrong))
        error = run(size, aar, "--against", kept, "--max-growth", "1%").exception
        assert isinstance(error, ConfigurationError)
        assert "not those of libraries" in error.message


def test_a_kept_report_of_a_newer_builder_is_refused(make, tmp_path):
    aar = make(SERVING, SERVING)
    kept = tmp_path / "release.json"
    kept.write_text(json.dumps(json.loads(run(size, aar, "--json").output) | {"schema": 99}))
    assert run(size, aar, "--against", kept).exception is not None
