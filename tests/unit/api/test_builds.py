"""What a build refuses before anything is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.api import BuildRequest, PackageOptions, build, builds, refuse_outputs
from builder.core.targets import parse_target
from builder.errors import ConfigurationError
from builder.platforms.android import build as android
from builder.platforms.android.package import AarOptions
from builder.system.progress import Silent

LINUX, ANDROID, IOS = map(parse_target, ("linux-x86_64", "arm64-v8a", "ios-arm64"))
FILES = (Path("a/m.ptl"), Path("b/m.ptl"))


@pytest.fixture(autouse=True)
def _no_build(monkeypatch):
    monkeypatch.setattr(builds, "link_libraries", lambda *_, **__: pytest.fail("it builds"))
    monkeypatch.setattr(android, "locate_jdk", lambda _runner: None)


def start(output, options=None, targets=(LINUX,)):
    """Starts a build that is refused."""
    request = BuildRequest(inputs=(Path("m.ptl"),))
    build(request, targets, output, options, progress=Silent())


@pytest.mark.parametrize("output", ["/proc/nope", "file/below", "file", "x" * 300])
def test_an_output_that_cannot_be_written_is_noticed_first(tmp_path, output):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot write"):
        start(tmp_path / output)


def test_a_folder_that_is_not_builders_is_refused_first(tmp_path):
    precious = tmp_path / "linux-x86_64/deep/precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    with pytest.raises(ConfigurationError, match=r"not written by builder: deep/precious\.txt"):
        start(tmp_path)
    assert precious.read_text() == "mine"


def test_two_assets_with_the_same_name_are_refused_first(tmp_path):
    options = PackageOptions(assets=FILES)
    for target in (ANDROID, IOS):
        with pytest.raises(ConfigurationError, match=r"two of the (assets|resources) .*m\.ptl"):
            start(tmp_path, options, [LINUX, target])


def test_what_packages_of_other_platforms_cannot_be_is_no_obstacle(tmp_path):
    refuse_outputs([LINUX], tmp_path, PackageOptions(android=AarOptions(version="1/2")))
    with pytest.raises(ConfigurationError, match="1/2"):
        refuse_outputs([ANDROID], tmp_path, PackageOptions(android=AarOptions(version="1/2")))
