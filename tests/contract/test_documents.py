"""README and docs are true: links, commands, samples of code, and the outputs that they show.

Commands on real runtimes, and CMake, are held in tests/native/test_documents.py.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import click
import pytest
from documents import (
    PAGES,
    ROOT,
    Block,
    agrees,
    drop_assignments,
    list_anchors,
    list_links,
    read_blocks,
    read_prose,
    read_shown,
    split_commands,
)
from verify.fakes import make_runtime

from builder.api.configuration import read_configuration
from builder.cli.commands import COMMANDS
from builder.cli.main import cli
from builder.core.dtypes import DtypeSet
from builder.core.operators import Operator
from builder.core.runtime_manifest import parse_manifest
from builder.packaging.headers import list_headers
from builder.platforms.android.ndk import NAMED_BY, SDKS
from builder.platforms.android.package import ARTIFACT, GROUP
from builder.platforms.apple.package import POD
from builder.system.machine import host_abi

README_LIMIT = 8000
CHECKED = {
    "sh": "test_commands_parse",
    "console": "test_commands_parse and, for the outputs, COMPARED",
    "c": "test_c_compiles",
    "cmake": "tests/native/test_documents.py",
    "cpp": "test_cxx_compiles",
    "java": "test_java_compiles",
    "objc": "test_objective_c_compiles",
    "python": "test_python_compiles, test_the_models_of_the_demo_apps_can_be_exported; those of "
    "the API: tests/contract/test_python_api.py and tests/native/test_python_api.py",
    "yaml": "test_configurations_are_read",
    "yml": "tests/contract/test_ci.py",
    "md": "tests/native/test_action.py",
}
"""Language of blocks -> what checks them."""
PARTLY_CHECKED = {
    "kotlin": "no Kotlin compiler is installed here; names and coordinates are checked",
    "swift": "swiftc is needed; without it, names are checked",
    "ruby": "no Ruby is installed here; the name of the pod is checked",
    "text": "folders and synopses; they hold no commands",
}
"""Language of blocks -> why a tool does not check them, and what is checked instead."""
NOT_RUN = {
    "apt": "changes the system",
    "pip": "changes the environment; extras are checked",
    "make": "the target is checked",
    "distccd": "a daemon of another machine",
    "cc": "tests/native/test_callers.py does the same",
    "cmake": "tests/native/test_documents.py runs it",
    "java": "tests/native/test_java.py does the same",
    "xcodebuild": "needs a Mac",
    "pod": "needs a Mac",
    "source": "of the shell",
    "export": "of the shell",
    "cd": "of the shell",
}
"""Programs in shell blocks that are not builder's -> why nothing runs them here."""
COMPARED = {
    "builder export mobilenet_v2 -o mobilenet_v2.ptl",
    "builder export quantized_mobilenet_v2 -o q.ptl",
    "builder ops mobilenet_v2.ptl",
    "builder graph scaled.ptl",
    "builder plan mobilenet_v2.ptl",
    "builder check lstm.ptl out",
    "builder verify scaled.ptl --runtime out --input 'float32[2]'",
}
"""Commands whose real output is compared with the page, here."""
COMPARED_NATIVELY = {
    "builder verify mobilenet_v2.ptl --runtime out",
    "builder size out",
    "builder size out --what-if aten::add --what-if aten::flatten",
    "builder fetch --check",
}
"""Those in tests/native/test_documents.py."""
ANDROID = "--abi arm64-v8a --abi armeabi-v7a --asset mobilenet_v2.ptl -o out"
NOT_COMPARED = {
    "builder doctor": "describes the machine",
    "builder build mobilenet_v2.ptl --abi linux-x86_64 -o out": "a build of its own",
    f"builder build mobilenet_v2.ptl {ANDROID}": "needs an NDK",
    "builder build mobilenet_v2.ptl --abi ios-arm64 --abi ios-simulator-arm64 -o out": "a build "
    "for iOS",
}
FOREIGN_OPTIONS = {
    "--bombs",  # tests.fuzz
    "--include",  # export.py of YOLOv5
    "--install",  # wsl
    "--model",  # speed_benchmark_torch
    "--recursive",  # git
    "--emit-relocs",  # lld
    "--gc-sections",  # linkers
    "--whole-archive",  # linkers
    "--operators",  # torchlite-run, and builder size
    "--system-site-packages",  # venv
    "--sdk",  # xcrun
}
NETS = """
import torch

class Scaled(torch.nn.Module):
    def forward(self, x, scale: float, n: int):
        return x * scale + n
"""


def in_words(block: Block) -> str:
    return block.id


def run(folder: Path, command: str) -> str:
    """Returns what a command prints, on stdout and stderr."""
    words = shlex.split(command)
    assert words[0] == "builder"
    path = os.pathsep.join(map(str, filter(None, (ROOT, *sys.path))))
    return subprocess.run(
        (sys.executable, "-m", "builder.cli.main", *words[1:]),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
    ).stdout


# Pages


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) < README_LIMIT


def test_the_readme_has_the_size_of_the_tutorial():
    """What a build prints there is what a reader can compare with."""
    (shown,) = (
        one
        for one in read_shown()
        if one.command == "builder build mobilenet_v2.ptl --abi linux-x86_64 -o out" and one.output
    )
    said = dict(re.findall(r"(stripped size|compressed) in bytes +([\d,]+)", shown.output))
    sizes = [int(one.replace(",", "")) / 1e6 for one in said.values()]
    text = " ".join((ROOT / "README.md").read_text().split())
    claim = re.search(r"MobileNetV2 takes about ([\d.]+) MB .*?\(([\d.]+) MB compressed\)", text)
    assert claim is not None
    assert list(claim.groups()) == [f"{one:.1f}" for one in sizes]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for link in list_links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in list_anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_index():
    index = ROOT / "docs/README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in list_links(index)}
    pages = {page for page in PAGES if page.is_relative_to(index.parent)}
    assert sorted(map(str, pages - linked - {index})) == []


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.is_relative_to(ROOT / "docs")],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_page_says_first_for_whom_it_is(page):
    title, *rest = re.sub(r"<!--.*?-->", "", page.read_text()).strip().split("\n\n")
    assert title.startswith("# ")
    first = rest[0].strip() or rest[1].strip()
    assert re.match(r"This (page|tutorial|index) is for ", first), first


def test_paths_in_pages_exist():
    """What stands in backticks and looks like a path of the repository is one."""
    pattern = r"`((?:builder|cmake|tools|tests|third_party|java|swift|benchmarks)/[\w./-]+)`"
    named = {(page, path) for page in PAGES for path in re.findall(pattern, read_prose(page))}
    assert len(named) > 20
    assert [(str(page), path) for page, path in named if not (ROOT / path).exists()] == []


# Blocks and commands


def test_every_block_is_checked_by_a_rule():
    """A sample in another language needs a rule, or a reason why there is none."""
    known = CHECKED.keys() | PARTLY_CHECKED.keys()
    assert [block.id for block in read_blocks() if block.language not in known] == []


def test_text_blocks_hold_no_commands():
    lines = ((b, line) for b in read_blocks("text") for line in b.text.splitlines())
    synopsis = re.compile(r"builder (\w+) ?(\[OPTIONS\]|$)")
    assert [
        f"{block.id}: {line}"
        for block, line in lines
        if line.startswith(("$ ", "builder ")) and not synopsis.match(line)
    ] == []


@pytest.mark.parametrize("block", read_blocks("yaml"), ids=in_words)
def test_configurations_are_read(block, tmp_path):
    for name in re.findall(r"\w+\.ptl", block.text):
        (tmp_path / name).touch()
    (tmp_path / "builder.yaml").write_text(block.text)
    configuration = read_configuration(tmp_path / "builder.yaml")
    for product in configuration.products:
        assert configuration.make_settings(product, {}).request.inputs


def make_context(words: list[str]) -> click.Context:
    """Parses what follows `builder`, as click does, but without looking for files."""
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, f"there is no builder {words[0]}"
    return command.make_context(f"builder {words[0]}", words[1:])


@pytest.mark.parametrize("block", read_blocks("sh", "console"), ids=in_words)
def test_commands_parse(block, monkeypatch):
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)
    text = block.text
    if block.language == "console":
        text = "\n".join(shown.command for shown in read_shown() if shown.id == block.id)
    commands = [drop_assignments(words) for words in split_commands(text)]
    assert commands
    for words in filter(None, commands):
        check_command(words)


def check_command(words: list[str]) -> None:
    """Fails for a command that cannot work."""
    program, *arguments = words
    if program == "builder":
        if arguments != ["--help"]:
            make_context(arguments)
    elif program.startswith("./"):
        assert os.access(ROOT / program, os.X_OK)
    elif program.endswith("python") or program == "PYTHON":
        check_python(arguments)
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for extra in re.findall(r"\[(\w+)\]", " ".join(arguments)):
            assert extra in extras["optional-dependencies"]
    else:
        assert program in NOT_RUN, f"no rule for {program}"


def check_python(arguments: list[str]) -> None:
    if arguments[:2] == ["-m", "pytest"]:
        assert [path for path in arguments[2:] if not (ROOT / path).exists()] == []
        return
    script, *options = arguments
    if script == "-m":
        module, *options = options
        path = ROOT / module.replace(".", "/")
        script = str(path / "__main__.py" if path.is_dir() else path.with_suffix(".py"))
    text = (ROOT / script).read_text()
    assert [o for o in options if o.startswith("--") and f'"{o}"' not in text] == []
    assert [o for o in options if o.startswith("docs/") and not (ROOT / o).is_file()] == []


@pytest.mark.parametrize(
    "command",
    [
        "builder ops --no-such-option m.ptl",
        "builder size out --max-size much",
        "builder fly",
        "rm x",
    ],
)
def test_a_command_that_cannot_work_is_noticed(command):
    with pytest.raises((click.UsageError, AssertionError)):
        check_command(shlex.split(command))


def test_options_in_the_text_exist():
    """`--option` in a sentence is an option of some command, of `builder X --option` that one's."""
    known = {name: list_options(name) for name in COMMANDS}
    every = frozenset().union(*known.values()) | FOREIGN_OPTIONS | {"--debug", "--version"}
    wrong = []
    for page in PAGES:
        for span in re.findall(r"`([^`\n]+)`", read_prose(page)):
            words = span.replace("\\|", "|").split()
            if (
                words[0].lower().endswith("python")
                and len(words) > 1
                and words[1:3] != ["-m", "builder"]
            ):
                check_python(words[1:])
                continue
            command = words[1] if words[0] == "builder" and len(words) > 1 else ""
            allowed = known.get(command, every)
            options = [re.split(r"[=,]", w)[0] for w in words if re.match(r"--[a-z]", w)]
            wrong += [f"{page.name}: {span}" for option in options if option not in allowed]
    assert wrong == []


def list_options(name: str) -> frozenset[str]:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    names = (n for p in command.params for n in (*p.opts, *p.secondary_opts))
    return frozenset(names) | {"--help"}


# Outputs


def test_every_shown_output_is_compared_or_has_a_reason():
    shown = {one.command for one in read_shown() if one.output}
    assert shown == COMPARED | COMPARED_NATIVELY | NOT_COMPARED.keys()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the commands of the pages run: a model, and runtimes that only say what they are."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "nets.py").write_text(NETS)
    shutil.copy(ROOT / "tests/data/models/lstm.ptl", folder)
    inputs = "--input 'float32[2]' --input 0.5 --input 3"
    run(folder, f"builder export nets:Scaled --via script -o scaled.ptl {inputs}")
    return folder


def serve(folder: Path, *operators: str) -> None:
    """Makes a runtime in `out` that has these operators in its manifest."""
    root = folder / "out" / host_abi()
    if not root.exists():
        make_runtime(folder / "out", host_abi())
    manifest = parse_manifest((root / "manifest.json").read_text())
    changed = replace(
        manifest, operators=tuple(map(Operator.parse, operators)), dtypes=DtypeSet.of(["float32"])
    )
    (root / "manifest.json").write_text(changed.to_text())


SERVED = {
    "builder check lstm.ptl out": ("aten::relu",),
    "builder verify scaled.ptl --runtime out --input 'float32[2]'": (
        *("aten::add.Scalar", "aten::mul.Scalar", "prim::NumToTensor.Scalar"),
    ),
}
"""Command -> operators of the runtime that it meets."""


@pytest.mark.torch
@pytest.mark.host
@pytest.mark.parametrize(
    "shown", [s for s in read_shown() if s.command in COMPARED], ids=lambda s: f"{s.id} {s.command}"
)
def test_shown_outputs_are_real(folder, shown):
    import torch

    if "torch 1.13" in shown.output and not torch.__version__.startswith("1.13"):
        pytest.skip("the page shows what torch 1.13 gives")
    if shown.command in SERVED:
        serve(folder, *SERVED[shown.command])
    elif "export" not in shown.command and not (folder / "mobilenet_v2.ptl").exists():
        run(folder, "builder export mobilenet_v2 -o mobilenet_v2.ptl")
    real = run(folder, shown.command).replace(host_abi(), "linux-x86_64")
    assert agrees(shown.output, real), real


def test_an_output_that_differs_is_noticed():
    shown = "a  ...\n-----\n...\nlast  1\n"
    assert agrees(shown, "==> Loading\na 7.5 x\n----------\nmore\nlast 1\n")
    assert not agrees(shown, "a 7.5 x\n----------\nmore\nlast 2\n")
    assert agrees(shown, "a 1\n---\nlast 2\n", mask_numbers=True)
    assert not agrees(shown, "b 1\n---\nlast 2\n", mask_numbers=True)


# Samples


def find_clang() -> str:
    names = ("clang", *(f"clang-{release}" for release in range(21, 13, -1)))
    return next(filter(None, map(shutil.which, names)))


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("block", read_blocks("c"), ids=in_words)
def test_c_compiles(block, language):
    flags = ("-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "cmake/runtime"))
    ran = subprocess.run(
        (find_clang(), "-x", language, *flags, "-"),
        input=block.text,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("block", read_blocks("cpp"), ids=in_words)
def test_cxx_compiles(block, tmp_path):
    for name, path in list_headers().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / name)  # a link would look for others beside its target
    flags = ("-std=c++14", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", str(tmp_path))
    ran = subprocess.run(
        (find_clang(), "-x", "c++", *flags, "-"), input=block.text, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("block", read_blocks("objc"), ids=in_words)
@pytest.mark.parametrize("language", ["objective-c", "objective-c++"])
def test_objective_c_compiles(block, language, tmp_path):
    """Against our own declarations of Foundation, as Apple's are not here."""
    header = tmp_path / "LibTorchLite/torchlite.h"
    header.parent.mkdir()
    header.symlink_to(ROOT / "cmake/runtime/torchlite.h")
    flags = ("-target", "arm64-apple-ios14.0", "-ffreestanding", "-nostdinc++", "-fobjc-arc")
    folders = ("-I", str(ROOT / "tests/data/objc"), "-I", str(tmp_path))
    ran = subprocess.run(
        (find_clang(), "-x", language, "-fsyntax-only", "-Wall", "-Werror", *flags, *folders, "-"),
        input=block.text,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("block", read_blocks("python"), ids=in_words)
def test_python_compiles(block):
    compile(block.text, block.id, "exec")


@pytest.mark.torch
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_the_models_of_the_demo_apps_can_be_exported(tmp_path, name):
    """The smallest ones, by the command of the page; it says which of the others were tried."""
    page = "docs/how-to/demo-apps.md"
    (factories,) = read_blocks("python", page=page)
    (tmp_path / "demos.py").write_text(factories.text)
    lines = "".join(block.text for block in read_blocks("sh", page=page)).splitlines()
    (command,) = (line for line in lines if f" demos:{name} " in line)
    said = run(tmp_path, command)
    assert f"wrote optimized_{name}_150k.ptl" in said, said


@pytest.mark.jdk
@pytest.mark.parametrize("block", read_blocks("java"), ids=in_words)
def test_java_compiles(block, tmp_path):
    name = re.search(r"public final class (\w+)", block.text)[1]
    (tmp_path / f"{name}.java").write_text(block.text)
    sources = (ROOT / "java/src", ROOT / "java/declarations")
    path = os.pathsep.join(map(str, sources))
    command = ("javac", "-sourcepath", path, "-d", tmp_path / "out", tmp_path / f"{name}.java")
    ran = subprocess.run(tuple(map(str, command)), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_kotlin_names_what_is_there():
    text = "".join(block.text for block in read_blocks("kotlin"))
    assert set(re.findall(r'"([\w.]+:[\w.]+):[\d.-]+"', text)) == {f"{GROUP}:{ARTIFACT}"}
    java = "".join(path.read_text() for path in (ROOT / "java/src").rglob("*.java"))
    for kind, method in re.findall(r"\b(LiteModuleLoader|Tensor|IValue)\.(\w+)\(", text):
        assert re.search(
            rf"public static {kind if kind != 'LiteModuleLoader' else 'Module'} {method}\(", java
        )
    for method in re.findall(r"\)\.(\w+)\(\)", text):
        assert f" {method}()" in java
    assert "float[] getDataAsFloatArray()" in java


def test_swift_names_what_is_there():
    module = "".join(path.read_text() for path in (ROOT / "swift/Sources").rglob("*.swift"))
    text = "".join(block.text for block in read_blocks("swift"))
    assert '.package(path: "out/apple")' in text
    declared = (
        "init(contentsOf url: URL",
        "func call(",
        "func callAsync(",
        "func extraFile(",
        "(_ elements: [Element], shape: [Int]?",
        "func forward(",
    )
    assert [name for name in declared if name not in module] == []
    assert re.search(r"func elements<.*\n?.*of type: Element.Type = Element.self", module)


@pytest.mark.swift
@pytest.mark.parametrize("block", read_blocks("swift"), ids=in_words)
def test_swift_parses(block, tmp_path):
    """Types of an app are not there, so this parses and does not resolve names."""
    text = block.text if "import" in block.text else f"_ = Package({block.text.rstrip()})\n"
    (tmp_path / "sample.swift").write_text(text)
    prefix = shlex.split(os.environ.get("BUILDER_SWIFT", ""))
    command = [*prefix, "swiftc", "-frontend", "-parse", str(tmp_path / "sample.swift")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_pod_is_the_one_that_a_build_writes():
    (text,) = {block.text for block in read_blocks("ruby")}
    assert re.search(r"pod '([\w-]+)'", text)[1] == POD


def test_every_variable_that_builder_reads_is_described():
    text = "".join(path.read_text() for path in (ROOT / "builder").rglob("*.py"))
    read = set(re.findall(r'(?:environ(?:ment)?\.get\(|environment=)"([A-Z_]+)"', text))
    assert {"BUILDER_CACHE", "BUILDER_LAUNCHER", "CC", "JAVA_HOME"} <= read
    page = (ROOT / "docs/reference/environment.md").read_text()
    described = {*read, *NAMED_BY, *SDKS} - {"HOME", "PATH"}
    assert [name for name in sorted(described) if f"`{name}`" not in page] == []
