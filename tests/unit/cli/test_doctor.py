import json

import pytest
from click.testing import CliRunner

from builder import api
from builder.cli.doctor import command
from builder.core.artifacts import Diagnosis, Finding
from builder.errors import Install
from builder.system.torch_packages import how_to_install
from builder.toolchains import environment

FINDINGS = (
    Finding(subject="clang", ok=True, detail="clang version 14"),
    Finding(subject="lld", ok=False, detail="there is no lld", remedy=Install("lld")),
)


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 5)])
def test_the_exit_code_says_whether_this_machine_can_build(monkeypatch, ready, code):
    monkeypatch.setattr(api, "diagnose", lambda: Diagnosis(findings=FINDINGS, ready=ready))
    result = CliRunner().invoke(command, [])
    assert result.exit_code == code
    assert "apt install lld" in result.stdout
    assert "ok  clang  clang version 14" in result.stdout


def test_fix_mends_and_looks_again(monkeypatch):
    looks = [Diagnosis(findings=FINDINGS, ready=False), Diagnosis(findings=FINDINGS, ready=True)]
    asked = []

    def repair(repairs, *, progress):
        asked.append(repairs)
        return ("lld: type it",)

    monkeypatch.setattr(api, "diagnose", lambda: looks.pop(0))
    monkeypatch.setattr(api, "repair", repair)
    result = CliRunner().invoke(command, ["--fix", "--only", "lld"])
    assert result.exit_code == 0
    assert "not done: lld: type it" in result.stderr
    assert [one.packages for one in asked] == [("lld",)]
    assert looks == []
    assert "without --fix" in CliRunner().invoke(command, ["--only", "lld"]).stderr


def test_json(monkeypatch):
    monkeypatch.setattr(api, "diagnose", lambda: Diagnosis(findings=FINDINGS, ready=True))
    printed = json.loads(CliRunner().invoke(command, ["--json"]).stdout)
    assert printed["ready"] is True
    assert printed["findings"][1]["remedy"] == "apt install lld"


def test_a_torch_is_judged_by_its_library_and_not_imported(monkeypatch, tmp_path):
    package = environment.InstalledPackage("torch", "2.0", tmp_path)
    monkeypatch.setattr(environment, "find_package", lambda name: package)
    (tmp_path / "lib").mkdir()
    library = tmp_path / "lib/libtorch_cpu.so"
    library.write_bytes(b"...")
    torch, vision = environment.inspect_torch()
    assert "it has no XNNPACK" in torch.detail
    assert torch.ok
    assert not torch.remedy
    assert vision.ok
    library.write_bytes(b"..prepacked::conv2d_clamp_prepack(Tensor..")
    assert environment.inspect_torch()[0].detail == "2.0, can export"


def test_without_torch_it_says_who_needs_it(monkeypatch):
    monkeypatch.setattr(environment, "find_package", lambda name: None)
    torch, _ = environment.inspect_torch()
    assert "only exports need it" in torch.detail
    assert torch.remedy == how_to_install("torch")


def test_a_full_disk_is_a_finding(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "free_bytes", lambda path: 1 << 30)
    cache = next(f for f in environment.inspect_machine(tmp_path) if f.subject == "cache")
    assert not cache.ok
    assert "BUILDER_CACHE" in cache.remedy


@pytest.mark.parametrize("name", ["file", "file/below", "link"])
def test_a_cache_that_cannot_be_made_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("gone")
    findings = environment.inspect_machine(tmp_path / name)
    cache = next(f for f in findings if f.subject == "cache")
    assert not cache.ok
    assert "cannot be used" in cache.detail
    assert "BUILDER_CACHE" in cache.remedy
