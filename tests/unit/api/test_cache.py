"""The cache is listed by kind and age; what a build holds stays."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from samples import make_plan

from builder.api import (
    CacheAction,
    CacheKind,
    CacheRequest,
    cache_contents,
    load_release,
    manage_cache,
)
from builder.api import cache as cache_module
from builder.core.targets import TARGETS
from builder.errors import ConfigurationError
from builder.native.build_folders import Layout
from builder.sources.store import ArchiveStore
from builder.sources.tree import tree_folder
from builder.system.locks import folder_lock
from builder.system.own_cache import TAG, claim_cache

LONG = 40 * 24 * 3600
NEW, OLD, ONE = "a" * 16, "b" * 16, "1" * 16
BUILT = "0" * 64 + ".json"
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
        f"sources/2.6.0-{NEW}/a.cpp": 30,
        f"sources/2.5.0-{OLD}/a.cpp": 40,
        f"native/{NEW}/objects/a.o": 50,
        f"native/{OLD}/objects/a.o": 60,
        f"native/generated-{ONE}/a.cpp": 70,
        f"native/generated-{ONE}.sha256": 1,
        f"native/generated-{ONE}.stamps": 1,
        f"finished/{BUILT}": 80,
        "toolchains/linux-x86_64.json": 90,
    }
    for name, size in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / f"native/{NEW}/pytorch").symlink_to(f"../../sources/2.6.0-{NEW}")
    (tmp_path / f"native/{OLD}/pytorch").symlink_to(f"../../sources/2.5.0-{OLD}")
    for path in tmp_path.glob("*/*"):
        if NEW not in path.name:
            age(path)
    age(tmp_path / f"sources/2.6.0-{NEW}")
    return tmp_path


def age(path):
    then = time.time() - LONG
    os.utime(path, (then, then))


def names(entries):
    short = {NEW: "new", OLD: "old", ONE: "1", BUILT: "0.json"}
    ends = [one.path.name.partition("-")[2] or one.path.name for one in entries]
    return {
        f"{one.path.parent.name}/{short.get(end, end)}"
        for one, end in zip(entries, ends, strict=True)
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
    assert (sizes[f"2.6.0-{NEW}"], sizes[NEW], sizes[BUILT]) == (30, 50, 80)
    ages = {one.path.name: one.days(time.time()) for one in report.entries}
    assert (ages[NEW], ages[OLD]) == (0, 40)
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
    assert {one.partition("-")[0] for one in left} >= {f"native/{NEW}", "sources/2.6.0"}
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
    age(cache / f"native/{NEW}")
    report = manage_cache(CacheRequest(action=CacheAction.PRUNE, older_than=0))
    assert names(report.entries) == {"downloads/a.tar.xz"}


def test_only_one_kind(cache):
    request = CacheRequest(action=CacheAction.PRUNE, kinds=(CacheKind.SOURCES,))
    assert manage_cache(request).removed == (), "the build that was made from it stays"
    request = CacheRequest(action=CacheAction.CLEAR, kinds=(CacheKind.SOURCES,))
    assert names(manage_cache(request).removed) == {"sources/new", "sources/old"}
    assert (cache / f"native/{OLD}/objects/a.o").is_file()


def test_nothing_that_a_builder_holds_is_pruned(cache):
    with folder_lock(cache / f"native/{OLD}"), folder_lock(cache / "downloads"):
        age(cache / f"native/{OLD}")
        report = manage_cache(PRUNE)
        assert names(report.entries) == KEPT | {
            *("native/old", "sources/old", "downloads/old.tar.xz")
        }
    assert (cache / f"native/{OLD}/objects/a.o").is_file()
    assert (cache / f"sources/2.5.0-{OLD}/a.cpp").is_file()


@pytest.mark.parametrize("held", [f"native/{OLD}", f"sources/2.6.0-{NEW}", "downloads"])
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


def contents(folder):
    """Returns all that is there; links are not followed."""
    return {path.relative_to(folder).as_posix(): path.lstat().st_ino for path in folder.rglob("*")}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with files of a user, some in folders that have the names of builder's."""
    home = tmp_path / "home"
    for name in ("downloads/tax.pdf", "sources/mine/a", "native/x/a", "apple/photos/a", "git/my/a"):
        (home / name).parent.mkdir(parents=True)
        (home / name).touch()
        age(home / name)
        age((home / name).parent)
    monkeypatch.setenv("BUILDER_CACHE", str(home))
    return home


@pytest.mark.parametrize("request_", [PRUNE, CLEAR])
def test_a_folder_of_somebody_else_is_refused(home, request_):
    (home / "letter.txt").touch()
    claim_cache(home)
    before = contents(home)
    with pytest.raises(ConfigurationError, match=r"'letter\.txt'") as caught:
        manage_cache(request_)
    assert (caught.value.exit_code, "BUILDER_CACHE" in caught.value.hint) == (2, True)
    assert contents(home) == before
    assert home / "letter.txt" in manage_cache(INFO).foreign
    assert contents(home) == before


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("request_", [PRUNE, CLEAR])
def test_what_builder_does_not_name_like_this_stays(home, request_, marked):
    if marked:
        claim_cache(home)
    before = contents(home)
    report = manage_cache(request_)
    assert (report.entries, report.removed) == ((), ())
    assert {path.relative_to(home).as_posix() for path in report.foreign} == {
        *("downloads/tax.pdf", "sources/mine", "native/x", "apple/photos", "git/my")
    }
    assert contents(home) == before


def test_a_cache_from_before_the_mark_is_builders(cache):
    assert not (cache / TAG).exists()
    assert manage_cache(PRUNE).removed
    claim_cache(cache)
    (cache / "letter.txt").touch()
    report = manage_cache(CLEAR)
    assert names(report.removed) == KEPT
    assert report.foreign == (cache / "letter.txt",)
    assert (cache / "letter.txt").is_file()


@pytest.mark.parametrize("part", ["native", "sources", "downloads", "finished", "other"])
def test_nothing_outside_is_touched_through_a_link(cache, tmp_path_factory, part):
    claim_cache(cache)
    victim = tmp_path_factory.mktemp("victim")
    for name in (OLD, f"docs-{OLD}", ".builder-tmp-abcdefgh"):
        (victim / name / "keep").mkdir(parents=True)
        age(victim / name)
    (victim / BUILT).touch()
    (victim / ("0" * 64 + "-a")).touch()
    shutil.rmtree(cache / part, ignore_errors=True)
    (cache / part).symlink_to(victim)
    before = contents(victim)
    report = manage_cache(CLEAR)
    assert report.removed
    assert report.foreign == (cache / part,)
    assert contents(victim) == before
    assert (cache / part).is_symlink()


def test_an_entry_that_is_a_link_stays(cache, tmp_path_factory):
    victim = tmp_path_factory.mktemp("victim")
    (victim / "keep").touch()
    linked = cache / f"native/{'c' * 16}"
    linked.symlink_to(victim)
    lock = cache / f"native/{OLD}.lock"
    lock.symlink_to(victim / "new")
    report = manage_cache(CLEAR)
    assert {*report.foreign} == {linked, lock, cache / f"native/{OLD}"}
    assert [path.name for path in victim.iterdir()] == ["keep"]
    assert linked.is_symlink()


def test_a_cache_may_be_moved_and_linked(cache, tmp_path_factory, monkeypatch):
    link = tmp_path_factory.mktemp("links") / "cache"
    link.symlink_to(cache)
    monkeypatch.setenv("BUILDER_CACHE", str(link))
    report = manage_cache(PRUNE)
    assert names(report.removed) == EVERYTHING - KEPT
    assert report.foreign == ()


def test_odd_things_in_the_cache_are_left_alone(cache):
    odd = [
        cache / "finished/sub",
        cache / f"sources/2.5.0-{OLD}.sha256",
        cache / "finished" / BUILT,
    ]
    (cache / "finished" / BUILT).unlink()
    for path in odd:
        path.mkdir()
    (cache / "native/file").touch()
    (cache / f"native/{'d' * 16}").touch()
    os.mkfifo(cache / "toolchains/ios-arm64-14.0.json")
    odd += [cache / "native/file", cache / f"native/{'d' * 16}"]
    odd.append(cache / "toolchains/ios-arm64-14.0.json")
    assert {*manage_cache(INFO).foreign} == {*odd}
    report = manage_cache(CLEAR)
    assert names(report.removed) == EVERYTHING - {"finished/0.json"}
    assert {*report.foreign} == {*odd}
    assert all(path.exists() for path in odd)


def test_what_vanishes_meanwhile_hides_nothing_else(cache, monkeypatch):
    count = cache_contents._count_bytes

    def vanish(path):
        if path.name == NEW:
            shutil.rmtree(path)
        return count(path)

    monkeypatch.setattr(cache_contents, "_count_bytes", vanish)
    assert names(manage_cache(INFO).entries) == EVERYTHING - {"native/new"}


def test_each_record_is_asked_for_once(cache, monkeypatch):
    for number in range(500):
        (cache / "finished" / f"{number:064}.json").write_text("{}")
    asked = []
    lstat = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda path: asked.append(path) or lstat(path))
    assert sum(one.kind == "records" for one in manage_cache(INFO).entries) > 500
    assert len([path for path in asked if path.parent.name == "finished"]) < 50


def test_errors_name_the_path_and_the_others_go(cache, monkeypatch):
    remove = cache_module._remove

    def fail(one):
        if one.path.name == OLD:
            raise PermissionError(13, "Permission denied", str(one.path))
        return remove(one)

    monkeypatch.setattr(cache_module, "_remove", fail)
    with pytest.raises(ConfigurationError, match=f"Permission denied: .*native/{OLD}"):
        manage_cache(CLEAR)
    assert names(manage_cache(INFO).entries) == {"native/old"}


def test_a_file_is_no_cache(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/file"):
        manage_cache(CLEAR)


def test_builder_names_its_entries_as_the_cache_knows_them(tmp_path):
    lock = load_release().lock
    shapes = cache_contents._SHAPES
    layout = Layout.of(tmp_path, make_plan())
    made = [
        *(tree_folder(lock.select(name), tmp_path) for name in ("", *lock.features)),
        *(ArchiveStore(folder=tmp_path / "downloads").path(pin) for pin in lock.pins),
        *(layout.root, layout.generated.root, layout.shaders.root),
        *(tmp_path / f"toolchains/{target.id}.json" for target in TARGETS),
        *(tmp_path / f"git/{pin.name}-{pin.commit[:12]}.git" for pin in lock.pins if pin.commit),
    ]
    for path in made:
        assert any(one.pattern.fullmatch(path.name) for one in shapes[path.parent.name]), path
