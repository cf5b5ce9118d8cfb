from __future__ import annotations

import os

import pytest
from samples import make_manifest

from builder.errors import VerificationError
from builder.verify.runtime import locate_runtime

HOST = "linux-x86_64"


@pytest.fixture
def runtime(tmp_path):
    (tmp_path / "manifest.json").write_text(make_manifest(abi="ios-arm64").to_text())
    return tmp_path


def test_what_is_only_read_needs_no_program(runtime):
    found = locate_runtime(runtime, host_abi=HOST, to_run=False)
    assert found.manifest.abi == "ios-arm64"


def test_a_library_for_an_app_is_not_run_here(runtime):
    with pytest.raises(VerificationError, match="builder cannot run ios-arm64") as caught:
        locate_runtime(runtime, host_abi=HOST)
    assert "targets.abis=linux-x86_64" in caught.value.hint


def test_a_runtime_without_its_program_is_broken(tmp_path):
    (tmp_path / "manifest.json").write_text(make_manifest().to_text())
    with pytest.raises(VerificationError, match=r"lacks its program .*torchlite-run"):
        locate_runtime(tmp_path, host_abi=HOST)


@pytest.mark.parametrize("kind", ["pipe", "zero"])
def test_a_manifest_that_is_a_device_or_a_pipe_is_refused_at_once(tmp_path, kind):
    folder = tmp_path / "linux-x86_64"
    folder.mkdir()
    if kind == "pipe":
        os.mkfifo(folder / "manifest.json")
    else:
        (folder / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(VerificationError, match="not a regular file"):
        locate_runtime(tmp_path, host_abi="linux-x86_64", to_run=False)
