"""What pip installs: complete, without the tests, and working away from the checkout."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from builder import __version__, api
from builder.core.components import BUILDER

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests" / "data" / "models"

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def check(*command: object, cwd: Path, **environment: str) -> str:
    completed = subprocess.run(
        tuple(map(str, command)),
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_NO_INPUT": "1", **environment},
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def run_installed(folder: Path, *arguments: object, cwd: Path) -> str:
    """Runs Python with the builder in `folder`; -S keeps an editable install's hook out."""
    others = (path for path in sys.path if path and Path(path) != ROOT)
    path = os.pathsep.join((str(folder), *others))
    return check(sys.executable, "-S", *arguments, cwd=cwd, PYTHONPATH=path)


def snapshot(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    before = snapshot(ROOT)
    command = (*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, ROOT)
    check(*command, cwd=folder)
    assert snapshot(ROOT) == before, "building a wheel left something in the checkout"
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed here")
    check(*PIP, "install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def tracked(folder: str) -> set[str]:
    """The files of a folder of the checkout, without what tools leave there."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != ".gitkeep"
    }


def test_every_module_is_in_it(names):
    modules = tracked("builder")
    assert "builder/native/profiles.toml" in modules
    assert "builder/size/parts.toml" in modules
    assert modules <= names


@pytest.mark.parametrize("folder", ["cmake", "java", "third_party", "ops_lists"])
def test_every_data_file_is_in_it(names, folder):
    assert {f"builder/data/{file}" for file in tracked(folder)} <= names


@pytest.mark.parametrize(
    "file",
    [
        "cmake/runtime/torchlite.h",
        "cmake/package/TorchLiteConfig.cmake",
        "third_party/2.6.0/sources.lock.toml",
        "third_party/2.6.0/symbols.txt",
        "third_party/2.6.0/backends/metal.toml",
        "third_party/2.6.0/facts.toml",
        "third_party/2.6.0/rules.toml",
        "third_party/2.6.0/patches/0001-flatbuffers-version.patch",
    ],
)
def test_what_a_build_reads_is_in_it(names, file):
    assert f"builder/data/{file}" in names


def test_its_metadata_names_the_distribution_and_its_licence(wheel, names):
    folder = f"torchlite_builder-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        licences = [
            archive.read(name) for name in (f"{folder}/licenses/LICENSE", "builder/data/LICENSE")
        ]
    assert (metadata["Name"], metadata["Version"]) == ("torchlite-builder", __version__)
    assert metadata["License-Expression"] == BUILDER.licence
    assert metadata["License-File"] == "LICENSE"
    assert licences == [(ROOT / "LICENSE").read_bytes()] * 2


def test_every_package_that_it_requires_is_used(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
        sources = [archive.read(one) for one in archive.namelist() if one.endswith(".py")]
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
    modules = {module.partition(".")[0] for node in nodes for module in list_modules(node)}
    distributions = packages_distributions()
    used = {canonicalize_name(name) for one in modules for name in distributions.get(one, ())}
    required = map(Requirement, metadata.get_all("Requires-Dist"))
    always = {canonicalize_name(one.name) for one in required if one.marker is None}
    programs, read_by_torchgen = {"cmake", "ninja"}, {"typing-extensions"}
    assert always - used == programs | read_by_torchgen


def list_modules(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [name.name for name in names]
        case ast.ImportFrom(str(module), level=0):
            return [module]
    return []


def test_nothing_else_is_in_it(names):
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"builder"}
    assert not {name for name in names if "tests" in name.split("/") or name.endswith(".pyc")}


def test_the_console_script(wheel, names):
    (entry_points,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(entry_points).decode().replace(" ", "")
    assert "[console_scripts]\nbuilder=builder.__main__:main\n" in text


def test_it_runs_from_where_it_is_installed(installed, tmp_path):
    command = ("-m", "builder", "ops", MODELS / "conv.ptl", "--json")
    printed = json.loads(run_installed(installed, *command, cwd=tmp_path))
    assert "prepacked::conv2d_clamp_run" in printed["operators"]


def test_its_data_is_its_own(installed, tmp_path):
    code = (
        "import json; from builder import api; from builder.system import folders;"
        "names = ('cmake', 'java', 'third_party', 'ops_lists');"
        "paths = [str(folders.data_folder(name)) for name in names];"
        "licence = str(folders.locate_licence());"
        "print(json.dumps([api.load_release().lock.digest, paths, licence]))"
    )
    digest, folders, licence = json.loads(run_installed(installed, "-c", code, cwd=tmp_path))
    names = ("cmake", "java", "third_party", "ops_lists")
    assert folders == [str(installed / "builder/data" / name) for name in names]
    assert licence == str(installed / "builder/data/LICENSE")
    assert digest == api.load_release().lock.digest


def test_the_script_that_pip_writes_starts(installed, tmp_path):
    said = run_installed(installed, installed / "bin" / "builder", "--version", cwd=tmp_path)
    assert said == f"builder, version {__version__}\n"
