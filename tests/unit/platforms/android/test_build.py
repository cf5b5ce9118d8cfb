from __future__ import annotations

from pathlib import Path

import pytest
from samples import make_release

from builder.errors import ConfigurationError, ToolchainError
from builder.platforms.android import build as android
from builder.platforms.android.package import AarOptions
from builder.system.process import Runner

RELEASE = make_release()


@pytest.fixture(autouse=True)
def _kit(monkeypatch):
    monkeypatch.setattr(android, "locate_jdk", lambda _runner: None)


def test_what_maven_cannot_name_is_refused_before_anything_is_compiled():
    with pytest.raises(ConfigurationError, match="1/2") as caught:
        android.refuse_unpackable(AarOptions(version="1/2"), (), RELEASE)
    assert "android.version" in caught.value.hint
    assert android.refuse_unpackable(AarOptions(version="1.2"), (), RELEASE).version == "1.2"
    assert android.refuse_unpackable(AarOptions(), (), RELEASE).version == "2.6.0-1"


def test_two_assets_of_one_name_are_refused():
    assets = (Path("a/m.ptl"), Path("b/m.ptl"))
    with pytest.raises(ConfigurationError, match=r"m\.ptl"):
        android.refuse_unpackable(AarOptions(), assets, RELEASE)


def test_a_missing_kit_is_told_before_anything_is_compiled(monkeypatch):
    def fail(_runner: Runner) -> None:
        raise ToolchainError("no Java development kit")

    monkeypatch.setattr(android, "locate_jdk", fail)
    with pytest.raises(ToolchainError):
        android.refuse_unpackable(AarOptions(), (), RELEASE)
