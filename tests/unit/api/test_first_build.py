"""What is said before the first build of a configuration."""

from __future__ import annotations

from samples import make_plan, make_release

from builder.api import first_build
from builder.api.first_build import describe_first_build
from builder.core.sources import SourceLock, SourcePin
from builder.native.build_folders import Layout
from builder.sources.store import ArchiveStore


def make_pin(name: str, size: int, unpacked: int) -> SourcePin:
    """Returns the pin of an archive; sizes are in MB."""
    others = dict.fromkeys(("path", "version", "url", "commit", "package", "licence"), "x")
    return SourcePin(
        name=name,
        file=f"{name}.tar",
        sha256=name * 64,
        size=size * 1_000_000,
        unpacked=unpacked * 1_000_000,
        strip=1,
        **others,
    )


def test_the_first_build_says_what_it_takes(tmp_path, monkeypatch):
    pins = (make_pin("a", 30, 100), make_pin("b", 13, 20))
    plan = make_plan(release=make_release(lock=SourceLock(version="2.6.0", pins=pins, patches=())))
    monkeypatch.setattr(first_build, "find_sources", lambda release, feature: None)
    said = describe_first_build(plan, tmp_path)
    assert "downloads 43 MB, takes some 503 MB on disk" in said
    assert str(tmp_path) in said
    # An archive that is there already is not downloaded again.
    kept = ArchiveStore(folder=tmp_path / "downloads").path(pins[0])
    kept.parent.mkdir()
    kept.touch()
    assert "downloads 13 MB" in describe_first_build(plan, tmp_path)
    monkeypatch.setattr(first_build, "find_sources", lambda release, feature: object())
    assert "downloads 0 MB, takes some 340 MB" in describe_first_build(plan, tmp_path)


def test_a_later_build_says_nothing(tmp_path):
    plan = make_plan()
    marker = Layout.of(tmp_path, plan).configured_marker
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert describe_first_build(plan, tmp_path) == ""
