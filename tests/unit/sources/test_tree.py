from dataclasses import replace

import pytest
from samples import make_patch
from sources_support import Notes, ReadyProvider, make_archive, make_lock, make_pin

from builder.errors import SourceError
from builder.sources import tree
from builder.sources import tree_manifest as manifest
from builder.sources.tree import (
    check_tree,
    find_tree,
    materialise,
    refuse_changed,
    tree_folder,
)
from builder.system.files import digest_file

FILES = {"top/a.txt": b"one\n", "top/docs/x.md": b"no\n", "top/sub/b.txt": b"two\n"}
PATCH = make_patch("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+1\n")


@pytest.fixture
def setting(tmp_path):
    main = make_archive(tmp_path / "main.tar.gz", FILES)
    other = make_archive(tmp_path / "other.tar.gz", {"c.txt": b"three\n"})
    lock = make_lock(
        make_pin(main, excluded=("docs",)),
        make_pin(other, name="other", path="third_party/other", strip=0),
        patches=[PATCH],
    )
    return lock, tmp_path / "cache", ReadyProvider({"thing": main, "other": other})


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and manifest.FOLDER not in path.parts
    }


def test_makes_the_whole_tree_patched_and_without_what_is_excluded(setting):
    lock, cache, provider = setting
    made = materialise(lock, cache, [provider], Notes())
    assert contents(made.root) == {
        "a.txt": "1\n",
        "sub/b.txt": "two\n",
        "third_party/other/c.txt": "three\n",
    }
    assert made.digest == lock.digest
    assert find_tree(lock, cache) == made
    assert check_tree(lock, cache) == 3


def test_a_feature_has_a_tree_of_its_own_laid_out_like_the_other(setting, tmp_path):
    lock, cache, provider = setting
    extra = make_archive(tmp_path / "extra.tar.gz", {"x/deep/e.h": b"e\n", "x/no.h": b"no\n"})
    pin = make_pin(
        extra,
        name="extra",
        path="third_party/extra",
        inside="deep",
        excluded=(".",),
        kept=("e.h",),
        feature="more",
    )
    whole = make_lock(*lock.pins, pin, patches=lock.patches)
    ready = ReadyProvider({**provider.archives, "extra": extra})
    notes = Notes()
    made = materialise(whole.select("more"), cache, [ready], notes)
    assert contents(made.root) == {"third_party/extra/e.h": "e\n"}
    assert made.root.name.startswith("more-")
    assert any("the feature more" in note for note in notes.notes)
    assert tree_folder(whole.select(), cache) == tree_folder(lock, cache)
    assert "third_party/extra/e.h" not in contents(
        materialise(whole.select(), cache, [ready], Notes()).root
    )


def test_an_archive_without_what_is_wanted_is_an_error(setting):
    lock, cache, provider = setting
    bad = make_lock(*(replace(pin, inside="gone") for pin in lock.pins))
    with pytest.raises(SourceError, match="contains no files of thing"):
        materialise(bad, cache, [provider], Notes())
    assert find_tree(bad, cache) is None


def test_a_second_call_asks_nobody(setting):
    lock, cache, provider = setting
    first = materialise(lock, cache, [provider], Notes())
    assert materialise(lock, cache, [], Notes()) == first
    assert len(provider.asked) == 2


@pytest.mark.parametrize("victim", ["extract_archive", "apply_patch", "manifest.write_marker"])
def test_whatever_stops_it_there_is_no_tree_and_the_next_run_makes_it(setting, monkeypatch, victim):
    lock, cache, provider = setting
    owner, _, name = victim.rpartition(".")
    where = manifest if owner else tree

    def stop(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(where, name, stop)
        with pytest.raises(KeyboardInterrupt):
            materialise(lock, cache, [provider], Notes())
    assert find_tree(lock, cache) is None
    materialise(lock, cache, [provider], Notes())
    assert check_tree(lock, cache) == 3
    assert not list((cache / "sources").glob(".*"))


def test_left_overs_of_a_killed_run_do_not_get_into_the_tree(setting):
    lock, cache, provider = setting
    root = tree_folder(lock, cache)
    left = root.with_name(f".{root.name}.partial")
    left.mkdir(parents=True)
    (left / "rubbish").write_text("x")
    root.mkdir()
    (root / "more").write_text("x")
    materialise(lock, cache, [provider], Notes())
    assert "rubbish" not in contents(root)
    assert "more" not in contents(root)


def test_a_failing_patch_leaves_no_tree(setting):
    lock, cache, provider = setting
    bad = make_lock(*lock.pins, patches=[make_patch(PATCH.text.replace("-one", "-0ne"))])
    with pytest.raises(SourceError, match="does not fit"):
        materialise(bad, cache, [provider], Notes())
    assert find_tree(bad, cache) is None


def damage_change(root):
    (root / "a.txt").write_text("2\n")


def damage_remove(root):
    (root / "sub/b.txt").unlink()


def damage_add(root):
    (root / "new.h").write_text("x")


def damage_listing(root):
    path = root / manifest.FOLDER / "files.sha256"
    path.write_text(path.read_text().replace("a", "b"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_change, "changed: a.txt"),
        (damage_remove, "missing: sub/b.txt"),
        (damage_add, "added: new.h"),
        (damage_listing, "changed: .builder/files.sha256"),
    ],
)
def test_check_says_what_differs_and_the_next_run_repairs_it(setting, damage, said):
    lock, cache, provider = setting
    root = materialise(lock, cache, [provider], Notes()).root
    before = contents(root)
    damage(root)
    with pytest.raises(SourceError, match=said):
        check_tree(lock, cache)
    assert find_tree(lock, cache) is None
    materialise(lock, cache, [provider], Notes())
    assert contents(root) == before


def test_python_caches_are_no_difference(setting):
    lock, cache, provider = setting
    root = materialise(lock, cache, [provider], Notes()).root
    (root / "sub/__pycache__").mkdir()
    (root / "sub/__pycache__/b.pyc").write_bytes(b"x")
    assert check_tree(lock, cache) == 3


def test_check_without_a_tree_says_what_to_type(setting):
    lock, cache, _ = setting
    with pytest.raises(SourceError, match="no complete") as caught:
        check_tree(lock, cache)
    assert caught.value.hint == "fetch(pytorch=9.9)"


def test_a_source_nobody_has_is_listed_with_its_hash_and_all_reasons(setting):
    lock, cache, provider = setting
    provider.archives.pop("other")
    with pytest.raises(SourceError) as caught:
        materialise(lock, cache, [provider, ReadyProvider({})], Notes())
    assert lock.pins[1].sha256 in caught.value.message
    assert "ready: no other here" in caught.value.message
    assert lock.pins[0].sha256 not in caught.value.message
    assert "source_folder" in caught.value.hint


def test_the_next_provider_is_asked_and_the_user_is_told(setting):
    lock, cache, provider = setting
    notes = Notes()
    materialise(lock, cache, [ReadyProvider({}), provider], notes)
    assert any("other comes from ready, because ready: no other here" in n for n in notes.notes)


def test_archives_that_were_kept_are_used_and_damaged_ones_are_not(setting):
    lock, cache, provider = setting
    downloads = cache / "downloads"
    downloads.mkdir(parents=True)
    for pin in lock.pins:
        kept = downloads / f"{pin.sha256}-{pin.file}"
        kept.write_bytes(provider.archives[pin.name].read_bytes())
    kept.write_bytes(b"damaged")
    materialise(lock, cache, [provider], Notes())
    assert provider.asked == ["other"]


def test_too_little_space_is_said_before_anything_is_fetched(setting, monkeypatch):
    lock, cache, provider = setting
    monkeypatch.setattr(tree, "free_bytes", lambda path: 1 << 20)
    with pytest.raises(SourceError, match="1 MiB free"):
        materialise(lock, cache, [provider], Notes())
    assert not provider.asked


def test_the_listing_is_what_sha256sum_reads(setting):
    lock, cache, provider = setting
    root = materialise(lock, cache, [provider], Notes()).root
    listing = (root / manifest.FOLDER / "files.sha256").read_text().splitlines()
    assert f"{digest_file(root / 'a.txt')}  a.txt" in listing
    assert listing == sorted(listing, key=lambda line: line[66:])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"digest": 1}', '{"providers": []}'])
def test_a_broken_marker_is_no_marker(setting, text):
    lock, cache, provider = setting
    root = materialise(lock, cache, [provider], Notes()).root
    (root / manifest.FOLDER / "complete.json").write_text(text)
    assert find_tree(lock, cache) is None


def test_a_tree_that_nobody_changed_is_taken(setting):
    lock, cache, provider = setting
    made = materialise(lock, cache, [provider], Notes())
    refuse_changed(lock, made)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda root: (root / "sub/b.txt").write_text("edited"), "changed: sub/b.txt"),
        (lambda root: (root / "sub/b.txt").unlink(), "missing: sub/b.txt"),
        (lambda root: (root / "sub/shadow.h").touch(), "added: sub/shadow.h"),
        (lambda root: (root / ".builder/files.sha256").write_text(""), "files.sha256"),
        (lambda root: (root / ".builder/complete.json").unlink(), "missing: .builder"),
    ],
)
def test_a_tree_changed_by_hand_is_refused_until_it_is_fetched_again(setting, change, named):
    lock, cache, provider = setting
    made = materialise(lock, cache, [provider], Notes())
    change(made.root)
    for _ in range(2):
        with pytest.raises(SourceError, match=named) as caught:
            refuse_changed(lock, made)
        assert str(made.root) in caught.value.message
        assert caught.value.hint.endswith("fetch(pytorch=9.9)")
    notes = Notes()
    assert materialise(lock, cache, [provider], notes) == made
    refuse_changed(lock, made)
    assert check_tree(lock, cache) == 3
    if "complete.json" not in named and named != "missing: .builder":
        assert any(named in note for note in notes.notes), "what goes is said"


def test_the_hint_names_the_feature(setting):
    lock, cache, provider = setting
    feature = replace(lock, feature="more")
    made = materialise(feature, cache, [provider], Notes())
    (made.root / "a.txt").write_text("edited")
    with pytest.raises(SourceError) as caught:
        refuse_changed(feature, made)
    assert caught.value.hint.endswith("fetch(pytorch=9.9, features=more)")


def test_a_new_tree_may_be_entered_by_others(setting):
    lock, cache, provider = setting
    made = materialise(lock, cache, [provider], Notes())
    assert made.root.stat().st_mode & 0o700 == 0o700
    assert made.root.stat().st_mode == (cache / "sources").stat().st_mode


def test_a_killed_unpacking_leaves_nothing_for_long(setting):
    lock, cache, provider = setting
    left = cache / "sources/.builder-tmp-left_123"
    left.mkdir(parents=True)
    materialise(lock, cache, [provider], Notes())
    assert not left.exists()


def test_a_cache_that_cannot_be_written_is_checked_too(setting, monkeypatch):
    lock, cache, provider = setting
    made = materialise(lock, cache, [provider], Notes())

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tree.os, "access", lambda *_: False)
    monkeypatch.setattr(tree, "folder_lock", refuse)
    monkeypatch.setattr(tree.manifest, "remove_marker", refuse)
    assert check_tree(lock, cache) == 3
    (made.root / "a.txt").write_text("edited")
    with pytest.raises(SourceError, match=r"changed: a\.txt"):
        check_tree(lock, cache)


def test_a_full_cache_is_named(setting, monkeypatch):
    lock, cache, provider = setting

    def full(*_, **__):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(tree, "extract_archive", full)
    with pytest.raises(SourceError, match="no space is left for") as caught:
        materialise(lock, cache, [provider], Notes())
    assert str(cache) in caught.value.message
    assert "BUILDER_CACHE" in caught.value.hint
    assert find_tree(lock, cache) is None
