"""The cache is listed by kind and age; what a build holds stays."""

from __future__ import annotations

import os
import time

import pytest

from builder.api import CacheAction, CacheKind, CacheRequest, load_release, manage_cache
from builder.errors import ConfigurationError
from builder.system.locks import folder_lock

OLD = 40 * 24 * 3600
PRUNE, CLEAR = CacheRequest(action=CacheAction.PRUNE), CacheRequest(action=CacheAction.CLEAR)
INFO = CacheRequest(action=CacheAction.INFO)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with two configurations, of which one was not used for long, and their trees."""
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path))
    pin = load_release().lock.pins[0].sha256
    files = {
        "downloads/" + pin + "-a.tar.xz": 10,
        "downloads/" + "0" * 64 + "-old.tar.xz": 20,
        "sources/2.6.0-new/a.cpp": 30,
        "sources/2.5.0-old/a.cpp": 40,
        "native/new/objects/a.o": 50,
        "native/old/objects/a.o": 60,
        "native/generated-1/a.cpp": 70,
        "native/generated-1.sha256": 1,
        "native/generated-1.stamps": 1,
        "finished/0.json": 80,
        "toolchains/linux-x86_64.json": 90,
    }
    for name, size in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "native/new/pytorch").symlink_to("../../sources/2.6.0-new")
    (tmp_path / "native/old/pytorch").symlink_to("../../sources/2.5.0-old")
    for path in tmp_path.glob("*/*"):
        if "new" not in path.name:
            age(path)
    age(tmp_path / "sources/2.6.0-new")
    return tmp_path


def age(path):
    then = time.time() - OLD
    os.utime(path, (then, then))


def names(entries):
    return {
        f"{one.path.parent.name}/{one.path.name.partition('-')[2] or one.path.name}"
        for one in entries
    }


EVERYTHING = {
    *("downloads/a.tar.xz", "downloads/old.tar.xz", "sources/new", "sources/old"),
    *("native/new", "native/old", "native/1", "finished/0.json", "toolchains/x86_64.json"),
}
KEPT = {"downloads/a.tar.xz", "sources/new", "native/new"}


def test_everything_is_listed_with_its_size_and_age(cache):
    report = manage_cache(INFO)
    assert names(report.entries) == EVERYTHING
    assert report.removed == ()
    sizes = {one.path.name: one.size for one in report.entries}
    assert (sizes["2.6.0-new"], sizes["new"], sizes["0.json"]) == (30, 50, 80)
    ages = {one.path.name: one.days(time.time()) for one in report.entries}
    assert (ages["new"], ages["old"]) == (0, 40)
    assert [one.kind for one in report.entries] == sorted(
        (one.kind for one in report.entries), key=list(CacheKind).index
    )


def test_an_absent_cache_is_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "none"))
    for request in (INFO, PRUNE, CLEAR):
        assert manage_cache(request).entries == ()
    assert not (tmp_path / "none").exists()


def test_what_is_old_and_not_needed_goes_with_all_that_is_beside_it(cache):
    report = manage_cache(PRUNE)
    assert names(report.removed) == EVERYTHING - KEPT
    assert names(report.entries) == KEPT
    # The tree is old, but a build that stays is made from it.
    left = {
        path.relative_to(cache).as_posix() for path in cache.glob("*/*") if path.suffix != ".lock"
    }
    assert {one.partition("-")[0] for one in left} >= {"native/new", "sources/2.6.0"}
    assert len(left) == len(KEPT)


def test_a_dry_run_removes_nothing(cache):
    before = {*cache.rglob("*")}
    report = manage_cache(CacheRequest(action=CacheAction.PRUNE, dry_run=True))
    assert names(report.removed) == EVERYTHING - KEPT
    assert {*cache.rglob("*")} == before


def test_the_age_counts(cache):
    assert manage_cache(CacheRequest(action=CacheAction.PRUNE, older_than=41)).removed == ()
    # What was used just now may be about to be locked.
    report = manage_cache(CacheRequest(action=CacheAction.PRUNE, older_than=0))
    assert "native/new" in names(report.entries)
    age(cache / "native/new")
    report = manage_cache(CacheRequest(action=CacheAction.PRUNE, older_than=0))
    assert names(report.entries) == {"downloads/a.tar.xz"}


def test_only_one_kind(cache):
    request = CacheRequest(action=CacheAction.PRUNE, kinds=(CacheKind.SOURCES,))
    assert manage_cache(request).removed == (), "the build that was made from it stays"
    request = CacheRequest(action=CacheAction.CLEAR, kinds=(CacheKind.SOURCES,))
    assert names(manage_cache(request).removed) == {"sources/new", "sources/old"}
    assert (cache / "native/old/objects/a.o").is_file()


def test_nothing_that_a_builder_holds_is_pruned(cache):
    with folder_lock(cache / "native/old"), folder_lock(cache / "downloads"):
        age(cache / "native/old")
        report = manage_cache(PRUNE)
        assert names(report.entries) == KEPT | {
            *("native/old", "sources/old", "downloads/old.tar.xz")
        }
    assert (cache / "native/old/objects/a.o").is_file()
    assert (cache / "sources/2.5.0-old/a.cpp").is_file()


@pytest.mark.parametrize("held", ["native/old", "sources/2.6.0-new", "downloads"])
@pytest.mark.parametrize("kinds", [(), (CacheKind.SOURCES,)])
def test_nothing_is_cleared_while_a_builder_runs(cache, held, kinds):
    with (
        folder_lock(cache / held),
        pytest.raises(ConfigurationError, match="a builder is using") as caught,
    ):
        manage_cache(CacheRequest(action=CacheAction.CLEAR, kinds=kinds))
    assert "prune" in caught.value.hint
    assert names(manage_cache(INFO).entries) == EVERYTHING


def test_clear_leaves_locks_only(cache):
    manage_cache(CLEAR)
    files = [path for path in cache.rglob("*") if not path.is_dir()]
    assert {path.suffix for path in files} <= {".lock"}
    assert manage_cache(INFO).entries == ()


def test_leftovers_of_a_killed_run_go(cache):
    leftover = cache / "native/.builder-tmp-abcdefgh/removed"
    leftover.mkdir(parents=True)
    manage_cache(PRUNE)
    assert not leftover.parent.exists()
