"""The rules of the code that tools can hold: layers, types, style, and what start-up loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples import make_manifest

from builder.models.read import read_model

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests" / "data" / "models"
HEAVY = ("torch", "torchvision", "numpy", "rich", "requests", "yaml", "cyclonedx", "packageurl")

LINT_IMPORTS = (
    "import sys; from importlinter.cli import lint_imports; "
    "sys.exit(lint_imports(cache_dir=sys.argv[1]))"
)


def run_python(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs Python with the builder of `cwd`; -S keeps an editable install's hook out."""
    others = (path for path in sys.path if path and Path(path) != ROOT)
    return subprocess.run(
        (sys.executable, "-S", *map(str, arguments)),
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(cwd), *others)),
            "NO_COLOR": "1",
        },
    )


def check_python(*arguments: object) -> str:
    completed = run_python(*arguments)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def test_imports_are_layered(tmp_path):
    output = check_python("-c", LINT_IMPORTS, tmp_path / "cache")
    assert " 0 broken" in output


def test_an_upward_import_would_be_seen(tmp_path):
    """The contracts name packages; one that names nothing would hold for ever."""
    package = tmp_path / "builder"
    for source in (ROOT / "builder").rglob("*.py"):
        target = package / source.relative_to(ROOT / "builder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    for module, line in (
        ("core/units.py", "import builder.system.files"),
        ("size/elf/linkmap.py", "import torch"),
        ("packaging/runtime_folder.py", "import subprocess"),
        ("platforms/contents.py", "import builder.sources.releases"),
    ):
        path = package / module
        path.write_text(f"{path.read_text()}\n{line}\n")
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    completed = run_python("-c", LINT_IMPORTS, tmp_path / "cache", cwd=tmp_path)
    assert completed.returncode != 0
    assert "builder.core.units -> builder.system.files" in completed.stdout
    assert "builder.size.elf.linkmap -> torch" in completed.stdout
    assert "builder.packaging.runtime_folder -> subprocess" in completed.stdout
    assert "builder.platforms.contents -> builder.sources.releases" in completed.stdout


def test_types():
    check_python("-m", "mypy")


def test_style():
    check_python("-m", "ruff", "check", "--quiet", ".")


def test_format():
    check_python("-m", "ruff", "format", "--check", "--quiet", ".")


def loaded_modules(*arguments: str) -> set[str]:
    """Returns the modules that are loaded after the command line has run with `arguments`."""
    code = (
        "import sys\n"
        "from builder.cli.main import main\n"
        f"sys.argv = ['builder', *{list(arguments)!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *sys.modules)\n"
    )
    last = check_python("-c", code).splitlines()[-1]
    assert last.startswith("LOADED ")
    return set(last.split()[1:])


OPS = {
    "builder": "api cli core errors graph lite models oplists sources system",
    "builder.api": "models",
    "builder.cli": "commands console gates main ops option_types settings_options",
    "builder.core": "byte_sizes counts dtypes model_facts operators setting_fields signatures",
    "builder.graph": "opcodes",
    "builder.lite": "archive bytecode effort foreign_formats globals model objects pickle_stack "
    "pickles read rebuild scalar_types source zip_model",
    "builder.models": "dtype_arguments lite_contents read",
    "builder.oplists": "format",
    "builder.sources": "release_facts",
    "builder.system": "folders guarded_zips limits machine",
}
"""Package -> the modules of it that `builder ops model.ptl` may load. Each one costs time whenever
somebody looks at a model, and scripts do so for many. A new one has to be worth it."""
SLOW = (
    *("asyncio", "ctypes", "decimal", "difflib", "email", "fcntl", "fractions", "http", "logging"),
    *(
        "importlib.metadata",
        "importlib.resources",
        "json",
        "shlex",
        "ssl",
        "subprocess",
        "tempfile",
    ),
    *("multiprocessing", "urllib.request", "xml"),
)
"""Modules of Python that it does not need."""


def test_listing_operators_loads_only_what_it_needs():
    loaded = loaded_modules("ops", str(MODELS / "conv.ptl"))
    allowed = {f"{package}.{name}" for package, names in OPS.items() for name in names.split()}
    assert sorted(name for name in loaded - allowed if name.startswith("builder.")) == []
    assert loaded.isdisjoint({*SLOW, *HEAVY})
    # A list with names of modules that do not exist any more would say nothing.
    assert allowed <= loaded


@pytest.mark.parametrize("name", ["conv.ptl", "conv_flatbuffer.ptl"])
def test_reading_a_model_loads_nothing_heavy(name):
    loaded = loaded_modules("ops", str(MODELS / name))
    assert "builder.models.read" in loaded
    assert loaded.isdisjoint({*HEAVY, "msgspec"})


def test_reading_a_model_reads_the_facts_of_a_release_without_its_pins_and_patches():
    loaded = loaded_modules("ops", str(MODELS / "conv.ptl"), "--pytorch", "2.6.0")
    assert "builder.sources.release_facts" in loaded
    assert loaded.isdisjoint({"builder.sources.lockfile", "builder.sources.releases"})


def test_checking_a_model_does_not_load_what_writes_packages(tmp_path):
    info = read_model(MODELS / "conv.ptl")
    manifest = make_manifest(operators=info.operators, custom_classes=info.custom_classes)
    (tmp_path / "manifest.json").write_text(manifest.to_text())
    loaded = loaded_modules("check", str(MODELS / "conv.ptl"), str(tmp_path))
    assert "builder.verify.coverage" in loaded
    assert loaded.isdisjoint({"cyclonedx", "packageurl", "license_expression", "torch"})


@pytest.mark.parametrize("arguments", [("--help",), ("build", "--help"), ("--version",)])
def test_help_loads_nothing_heavy(arguments):
    loaded = loaded_modules(*arguments)
    assert loaded.isdisjoint(HEAVY)
    assert "msgspec" not in loaded or arguments[0] == "build"  # its help names the backends
    loaded -= {"builder.api.settings"}  # what the options are made from
    assert not [name for name in loaded if name.startswith(("builder.api.", "builder.native."))]
