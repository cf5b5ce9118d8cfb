"""The plan's key covers the files that decide bytes, each of them, and no others."""

from __future__ import annotations

import ast
import shutil
import tomllib
from pathlib import Path

import pytest

import builder
from builder.api import key_files
from builder.api.key_files import (
    DECIDING,
    DECIDING_FOR,
    DECIDING_OF_RELEASE,
    NOT_DECIDING,
    digest_deciding_files,
    read_values,
    strip_comments,
)
from builder.core.targets import TARGETS, Platform, parse_target
from builder.errors import ConfigurationError
from builder.sources.releases import load_release

PACKAGE = Path(builder.__file__).parent
LINUX, ANDROID = map(parse_target, ("linux-x86_64", "arm64-v8a"))
LISTED = sorted({*DECIDING, *(name for names in DECIDING_FOR.values() for name in names)})
MODULES = [name for name in LISTED if name.endswith(".py")]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of all that is digested, which a test may change."""
    shutil.copytree(PACKAGE, tmp_path / "builder", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("cmake", "third_party"):
        shutil.copytree(PACKAGE.parent / name, tmp_path / name)
    monkeypatch.setattr(key_files, "package_folder", lambda name: tmp_path / "builder" / name)
    monkeypatch.setattr(key_files, "data_folder", lambda name: tmp_path / name)
    return tmp_path


def digest(tree, target=LINUX):
    release = load_release("2.6.0", root=tree / "third_party")
    return digest_deciding_files(target, release)


def test_each_deciding_file_changes_the_digest(tree):
    target_of = dict.fromkeys(DECIDING, LINUX)
    for platform, names in DECIDING_FOR.items():
        target = next(target for target in TARGETS if target.platform is platform)
        target_of |= dict.fromkeys(names, target)
    own = ("include", "package")
    native = [path for path in (tree / "cmake").rglob("*") if not {*own} & {*path.parts}]
    files = {tree / "builder" / name: target for name, target in target_of.items()}
    files |= {path: LINUX for path in native if path.is_file()}
    release = tree / "third_party/2.6.0"
    files |= {release / "symbols.txt": LINUX, release / "symbols-android.txt": ANDROID}
    files |= {release / name: LINUX for name in ("facts.toml", "rules.toml")}
    files |= dict.fromkeys((release / "backends").iterdir(), LINUX)
    before = {target: digest(tree, target) for target in set(files.values())}
    loaded = load_release("2.6.0", root=tree / "third_party")
    for path, target in files.items():
        content = path.read_bytes()
        path.write_bytes(content + b"\nchanged = 1\n")
        assert digest_deciding_files(target, loaded) != before[target], path
        path.write_bytes(content)
    assert {target: digest(tree, target) for target in before} == before


def test_every_file_of_a_release_decides_or_is_known_not_to():
    names = {path.name for path in load_release().folder.iterdir()}
    others = {"operators.txt", "own_core.toml", "patches", "shader_patches", "sources.lock.toml"}
    others |= {"vulkan.toml"}
    indexes = {"symbols.txt", "symbols-android.txt", "symbols-ios.txt"}
    deciding = {pattern.partition("/")[0] for pattern in DECIDING_OF_RELEASE}
    assert names == {*deciding, *indexes, *others}


def test_what_decides_nothing_changes_nothing(tree):
    before = digest(tree)
    for path in (tree / "builder").rglob("*"):
        name = path.relative_to(tree / "builder").as_posix()
        if path.is_file() and name not in LISTED:
            path.write_bytes(b"changed")
    for name in (*DECIDING_FOR[Platform.ANDROID], *DECIDING_FOR[Platform.IOS]):
        (tree / "builder" / name).write_text("changed = 1\n")
    for name in (
        "symbols-android.txt",
        "symbols-ios.txt",
        "operators.txt",
        "own_core.toml",
        "vulkan.toml",
    ):
        (tree / "third_party/2.6.0" / name).write_text("changed")
    (tree / "cmake/package/TorchLiteConfig.cmake").write_text("changed")
    (tree / "cmake/include/torchlite.hpp").write_text("changed")
    (tree / "third_party/2.6.0/backends/notes.md").write_text("changed")
    (tree / "third_party/releases.toml").write_text('default = "2.6.0" # changed')
    assert digest(tree) == before


def test_a_comment_in_a_deciding_module_changes_nothing(tree):
    before = digest(tree)
    for name in MODULES:
        path = tree / "builder" / name
        path.write_text(f'# why\n\n{path.read_text()}\n\n# why\n"""Other words."""\n')
    assert digest(tree) == before


def test_a_comment_and_the_order_of_keys_in_a_toml_file_change_nothing(tree):
    targets = [parse_target(abi) for abi in ("linux-x86_64", "arm64-v8a", "ios-arm64")]
    before = [digest(tree, target) for target in targets]
    paths = [*(tree / "builder").rglob("*.toml"), *(tree / "third_party/2.6.0").rglob("*.toml")]
    assert len(paths) > 10
    for path in paths:
        table = tomllib.loads(path.read_text())
        path.write_text(f"# why\n\n{path.read_text()}\n# why\n")
        assert tomllib.loads(path.read_text()) == table
    facts = tree / "third_party/2.6.0/facts.toml"
    one, other = 'USE_CUDA = "OFF"\n', 'USE_XPU = "OFF"\n'
    text = facts.read_text().replace(one, "").replace(other, other + one)
    assert text.index(other) < text.index(one)
    facts.write_text(text)
    assert [digest(tree, target) for target in targets] == before


def test_the_order_of_a_list_and_each_value_of_a_toml_file_count():
    texts = ('a = ["x", "y"]', 'a = ["y", "x"]', "a = 1", "a = 1.0", 'a = "1"', "a = true", "b = 1")
    assert len({read_values(text) for text in texts}) == len(texts)
    assert read_values("b = 1\n[t]\nd = 2\nc = 3") == read_values("b = 1 # x\n[t]\nc = 3\nd = 2")


def test_a_comment_in_a_symbol_index_changes_nothing_and_a_name_does(tree):
    before, path = digest(tree, ANDROID), tree / "third_party/2.6.0/symbols-android.txt"
    path.write_text(f"# why\n{path.read_text()}\n# why\n")
    assert digest(tree, ANDROID) == before
    path.write_text(f"{path.read_text()}c10::more\n")
    assert digest(tree, ANDROID) != before


@pytest.mark.parametrize("name", ["rules.toml", "facts.toml", "backends/metal.toml"])
@pytest.mark.parametrize("content", [None, b"\xff", b"no TOML"])
def test_a_file_of_a_release_that_cannot_be_read_is_told(tree, name, content):
    release = load_release("2.6.0", root=tree / "third_party")
    path = release.folder / name
    path.unlink() if content is None else path.write_bytes(content)
    if content is None and name.startswith("backends"):
        return  # without the file, the release does not have the backend
    with pytest.raises(ConfigurationError, match=f"{name} cannot be read"):
        digest_deciding_files(LINUX, release)


@pytest.mark.parametrize("name", MODULES)
def test_without_comments_a_module_is_the_same_program(name):
    text = (PACKAGE / name).read_text()
    assert dump(strip_comments(text)) == dump(text)


def dump(text):
    """Returns the syntax tree without strings that are statements."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if hasattr(node, "body") and isinstance(node.body, list):
            node.body = [one for one in node.body if not is_docstring(one)]
    return ast.dump(tree)


def is_docstring(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@pytest.mark.parametrize(
    ("source", "stripped"),
    [
        ('"""Words."""\n\nx = 1  # why\n', "x = 1"),
        ('def f():\n    """Words\n    and more."""\n    return "#"\n', 'def f():\n    return "#"'),
        ('x = """kept"""\n"""Words."""\n', 'x = """kept"""'),
        ('f("a")\n"b"\n', 'f("a")'),
        ('x = """a\n\n  b  \n"""\n\n', 'x = """a\n\n  b  \n"""'),
    ],
)
def test_comments_and_docstrings_go(source, stripped):
    assert strip_comments(source) == stripped


def test_what_deciding_modules_import_is_listed():
    known = {*LISTED, *NOT_DECIDING}
    unknown = {
        (name, imported)
        for name in MODULES
        for imported in list_imports(PACKAGE / name)
        if imported not in known and imported.split("/")[0] not in known
    }
    assert unknown == set()
    used = {found for name in MODULES for found in list_imports(PACKAGE / name)}
    assert {name for name in NOT_DECIDING if name.endswith(".py")} <= used


RUNNING = {
    "api/repairs.py": "installs packages, whose versions the toolchain's fingerprint has",
    "native/make_index.py": "makes an index, which is digested itself",
    "platforms/android/java.py": "compiles classes of the AAR, which are no part of the runtime",
    "platforms/apple/xcodebuild.py": "packs a library that is finished",
    "sources/git.py": "delivers sources, whose digest is checked",
    "sources/wheels.py": "delivers sources, whose digest is checked",
    "verify/hosts.py": "runs a runtime that is finished",
}
"""Modules that run programs, are imported by none that decides, and decide nothing."""


def test_every_module_that_runs_a_program_is_listed():
    """What a tool gets as arguments decides what it writes."""
    running = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(map(runs_program, ast.walk(ast.parse(path.read_text()))))
    }
    assert {"native/ninja.py", "native/link_elf.py", "native/link_macho.py"} < running
    known = {*LISTED, *NOT_DECIDING, *RUNNING}
    assert [name for name in sorted(running) if not {name, name.split("/")[0]} & known] == []
    assert set(RUNNING) <= running


def runs_program(node):
    """Says whether a node of a syntax tree is a call of `Runner.run` or `Runner.check`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    on = ast.unparse(node.func.value)
    runners = ("runner", "with_environment", "ninja", "only")
    return node.func.attr in {"run", "check"} and any(word in on for word in runners)


def list_imports(path):
    """Yields the modules of builder that a module imports at run time, as paths below `builder`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("builder"):
            for alias in node.names:
                for dotted in (f"{node.module}.{alias.name}", node.module):
                    file = dotted.removeprefix("builder.").replace(".", "/") + ".py"
                    if (PACKAGE / file).is_file():
                        yield file
                        break
