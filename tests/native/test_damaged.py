"""A cache that was moved, damaged or edited: noticed, mended where nothing is lost, and said."""

import json
import os
import shutil
from pathlib import Path

import pytest

from .conftest import ABI, beside_others, read_plan, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]

NAMES = ("lib/libtorchlite.so", "bin/torchlite-run", "manifest.json")


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def moved(built, tmp_path_factory):
    """The cache of the session at another path, with what one build needs; files are linked.

    Returns the cache, its source tree, and the objects that were linked.
    """
    from builder.api import load_release
    from builder.sources.tree import tree_folder
    from builder.system.folders import cache_folder

    plan = read_plan(*built.wanted, "--abi", ABI)
    cache, place = cache_folder(), tmp_path_factory.mktemp("moved") / "new cache"
    tree = tree_folder(load_release().lock.select(), cache)
    native = cache / "native" / plan["objects_key"]
    with beside_others(alone=True):
        copy_cache(cache, place, tree, native)
    linked = (native / "plans" / plan["key"] / "unstripped/objects.rsp").read_text().split('"')
    objects = [Path(path).relative_to(cache) for path in linked if path.endswith(".o")]
    return place, place / tree.relative_to(cache), [place / path for path in objects]


def copy_cache(cache, place, tree, native):
    copied = place / native.relative_to(cache)
    for folder in (tree, native / "configured", native / "objects/size"):
        target = place / folder.relative_to(cache)
        shutil.copytree(folder, target, symlinks=True, copy_function=link_or_copy)
    names = (".ninja_log", ".ninja_deps", "objects/size.sha256")
    for name in (*names, *(path.name for path in native.glob("configured.*"))):
        shutil.copy2(native / name, copied / name)
    for name in ("slices", "limits", "registrations", "preludes"):
        if (native / name).is_dir():
            # Compiled headers belong to the folder that they were compiled in.
            shutil.copytree(native / name, copied / name, ignore=shutil.ignore_patterns("compiled"))


def build(built, cache, out, variables=None, **options):
    environment = {"BUILDER_CACHE": str(cache), "CCACHE_DISABLE": "1", **(variables or {})}
    asked = ("build", *built.wanted, "--abi", ABI, "-o", out, "--json")
    return run_builder(*asked, env=environment, **options)


def refuse_other_bytes(built, out):
    for name in NAMES:
        assert (out / ABI / name).read_bytes() == (built.root / name).read_bytes()


def rewrite(path: Path, content: bytes):
    """Writes a file of the copy; the one that it is a link to stays."""
    path.unlink()
    path.write_bytes(content)


def test_a_moved_cache_works_and_nothing_is_compiled_anew(built, moved, tmp_path):
    said = build(built, moved[0], tmp_path)
    (outcome,) = json.loads(said.stdout)["runtimes"]
    assert outcome["units_compiled"] == 0
    assert "configuring" not in said.stderr
    refuse_other_bytes(built, tmp_path)


def test_damaged_objects_are_compiled_again_and_variables_change_nothing(built, moved, tmp_path):
    """The units that are compiled again, and the link; a folder of headers would stop each."""
    cache, _, objects = moved
    (tmp_path / "stddef.h").write_text("#error a variable has an effect\n")
    folders = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH")
    flags = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS")
    variables = dict.fromkeys(folders, str(tmp_path)) | dict.fromkeys(flags, "--no-such-flag")
    variables |= {"CCC_OVERRIDE_OPTIONS": "# +--no-such-flag", "CMAKE_GENERATOR": "Xcode"}
    variables |= {"MAKEFLAGS": "--no-such-flag", "SOURCE_DATE_EPOCH": "0"}
    truncated, emptied, flipped = objects[:3]
    rewrite(truncated, truncated.read_bytes()[:1000])
    rewrite(emptied, b"")
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 4
    rewrite(flipped, bytes(content))
    out = tmp_path / "out"
    said = build(built, cache, out, variables)
    assert "damaged objects are compiled again: " in said.stderr
    assert json.loads(said.stdout)["runtimes"][0]["units_compiled"] == 3
    refuse_other_bytes(built, out)


def test_a_source_edited_by_hand_is_refused_by_name(built, moved, tmp_path):
    cache, tree, _ = moved
    source = tree / "c10/core/ScalarType.cpp"
    before = source.read_bytes()
    rewrite(source, before + b"// a change that makes no difference\n")
    said = build(built, cache, tmp_path / "out", check=False)
    assert said.returncode == 4
    assert "changed: c10/core/ScalarType.cpp" in said.stderr
    assert "builder fetch" in said.stderr
    assert not (tmp_path / "out").exists()
    rewrite(source, before)
