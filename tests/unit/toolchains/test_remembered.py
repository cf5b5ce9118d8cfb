"""A toolchain is remembered until something changes that it was found by."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from samples import make_toolchain

from builder.core.toolchain import GnuLibraries, Stl, Tool, ToolchainOptions
from builder.toolchains import remembered
from builder.toolchains.remembered import recall_toolchain, remember_toolchain

NAME = "linux-x86_64"
OPTIONS = ToolchainOptions(launcher="ccache")


@pytest.fixture
def found(tmp_path):
    """A toolchain in a folder of its own, and the environment that it was found in."""
    programs, headers = tmp_path / "bin", tmp_path / "include/c++/12"
    programs.mkdir()
    headers.mkdir(parents=True)
    (programs / "clang").write_text("program")
    (headers / "string").write_text("header")
    toolchain = make_toolchain(
        cc=Tool(name="clang", path=programs / "clang", version="clang version 19.1.7"),
        gnu=GnuLibraries(libstdcxx=20220819, glibc=(2, 36)),
        configuration=(("CMAKE_SYSTEM_NAME", "Linux"),),
        headers=(headers / "string",),
    )
    return toolchain, {"PATH": str(programs), "TERM": "xterm"}


@pytest.fixture
def cache(found, tmp_path):
    remember_toolchain(tmp_path / "cache", *found, OPTIONS)
    return tmp_path / "cache"


def test_the_same_value_comes_back_without_its_launcher(found, cache):
    toolchain, environment = found
    assert recall_toolchain(cache, NAME, environment, OPTIONS) == toolchain
    assert recall_toolchain(cache, NAME, {**environment, "TERM": "dumb"}, OPTIONS) == toolchain
    assert recall_toolchain(cache, "linux-aarch64", environment, OPTIONS) is None


@pytest.mark.parametrize("name", ["PATH", "CC", "CXX", "LD_LIBRARY_PATH"])
def test_another_environment_is_another_question(found, cache, name):
    assert recall_toolchain(cache, NAME, {**found[1], name: "/elsewhere"}, OPTIONS) is None


@pytest.mark.parametrize(
    "options",
    [
        ToolchainOptions(sysroot=Path("older")),
        ToolchainOptions(ndk=Path("ndk")),
        ToolchainOptions(apple_sdk=Path("sdk")),
        ToolchainOptions(stl=Stl.SHARED),
        ToolchainOptions(page_size=4096),
    ],
    ids=lambda options: repr(options).partition("'")[0],
)
def test_other_options_are_another_question(found, cache, options, monkeypatch, tmp_path):
    assert recall_toolchain(cache, NAME, found[1], options) is None
    remember_toolchain(cache, *found, options)
    assert recall_toolchain(cache, NAME, found[1], options) == found[0]
    assert recall_toolchain(cache, NAME, found[1], OPTIONS) is None
    monkeypatch.chdir(tmp_path / "bin")
    elsewhere = recall_toolchain(cache, NAME, found[1], options)
    assert (elsewhere is None) == bool(options.sysroot or options.ndk or options.apple_sdk)


def test_another_launcher_is_the_same_question(found, cache):
    assert recall_toolchain(cache, NAME, found[1], ToolchainOptions(launcher="none")) == found[0]


def test_another_python_is_another_question(found, cache, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/other/python")
    assert recall_toolchain(cache, NAME, found[1], OPTIONS) is None


def test_another_builder_asks_again(found, cache, monkeypatch):
    monkeypatch.setattr(remembered, "digest_own_files", lambda: "0" * 64)
    assert recall_toolchain(cache, NAME, found[1], OPTIONS) is None


def rewrite_tool(folder):
    (folder / "bin/clang").write_text("another program")


def replace_tool(folder):
    """As package managers do, with the same size and the old time."""
    (folder / "new").write_text("program")
    (folder / "new").replace(folder / "bin/clang")


def add_program(folder):
    (folder / "bin/clang-20").write_text("newer")


def remove_tool(folder):
    (folder / "bin/clang").unlink()


def change_header(folder):
    (folder / "include/c++/12/string").write_text("another")


def add_release(folder):
    (folder / "include/c++/13").mkdir()


@pytest.mark.parametrize(
    "change",
    [rewrite_tool, replace_tool, add_program, remove_tool, change_header, add_release],
)
def test_what_changes_is_noticed(found, cache, tmp_path, change):
    change(tmp_path)
    assert recall_toolchain(cache, NAME, found[1], OPTIONS) is None


@pytest.mark.parametrize("text", ["", "{", "{}", '{"asked": 1}'])
def test_a_damaged_file_says_nothing(found, cache, text):
    (cache / remembered.FOLDER / f"{NAME}.json").write_text(text)
    assert recall_toolchain(cache, NAME, found[1], OPTIONS) is None


def test_a_cache_that_cannot_be_written_is_no_error(found, tmp_path):
    (tmp_path / "file").write_text("")
    remember_toolchain(tmp_path / "file", *found, OPTIONS)


def test_a_second_toolchain_replaces_the_first(found, cache):
    other = replace(found[0], cxx=Tool(name="x", path=found[0].cc.path, version="20"))
    remember_toolchain(cache, other, found[1], OPTIONS)
    assert recall_toolchain(cache, NAME, found[1], OPTIONS) == other
