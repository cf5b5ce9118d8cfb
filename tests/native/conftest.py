"""One real runtime, built once for all native tests, from real models."""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.json_schemas import check_output

HERE = Path(__file__).parent
ABI = f"linux-{os.uname().machine}"
FLOAT = ("--dtypes", "uint8,int32,int64,float32,float64,bool")
"""What `built` has. Runtimes with the same dtypes share the objects of its kernels."""


_holders = []
"""One entry while no other run of these tests may build."""


@contextmanager
def beside_others(*, alone=False):
    """Lets builds of another run of these tests go on meanwhile, or none; ./test has two runs.

    builder's own locks are for builders. A test that takes objects away, or copies the cache, is
    none.
    """
    if _holders:
        yield
        return
    with Path(tempfile.gettempdir(), f"builder-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if alone:
            _holders.append(lock)
        try:
            yield
        finally:
            _holders.clear()


@pytest.fixture
def alone():
    """No other run of these tests builds while a test has this fixture, which comes last."""
    with beside_others(alone=True):
        yield


def run_builder(*arguments, check=True, env=None, cwd=HERE):
    """Runs the command line as a user would; output is kept for the assertion message."""
    command = [sys.executable, "-m", "builder.cli.main", *map(str, arguments)]
    with beside_others():
        completed = subprocess.run(
            command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True
        )
    if check:
        assert completed.returncode == 0, completed.stdout + completed.stderr
    if "--json" in arguments and completed.stdout:
        check_output(tuple(map(str, arguments)), completed.stdout)
    return completed


def read_plan(*arguments):
    """Returns the one plan that `builder plan` prints."""
    (plan,) = json.loads(run_builder("plan", *arguments, "--json").stdout)["plans"]
    return plan


def drop_operators(root, path, *operators):
    """Writes the operator list of the runtime at `root` to `path`, without some of it."""
    listed = yaml.safe_load((root / "share/torchlite/operators.yaml").read_text())
    for operator in operators:
        del listed["operators"][operator]
    path.write_text(yaml.safe_dump(listed))
    return path


@dataclass
class Built:
    """What the session built."""

    out: Path
    models: dict

    @property
    def wanted(self):
        """The models that it was built for."""
        names = ("mobilenet_v2", "control_flow", "identity", "scaling", "upscaling")
        return [self.models[name] for name in names]

    @property
    def root(self):
        return self.out / ABI

    @property
    def library(self):
        return self.root / "lib/libtorchlite.so"

    @property
    def runner(self):
        return self.root / "bin/torchlite-run"


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models with space")
    paths = {
        "mobilenet_v2": folder / "mobilenet_v2.ptl",
        "control_flow": folder / "control_flow.ptl",
        "identity": folder / "identity.ptl",
        "needy": folder / "needy.ptl",
        "scaling": folder / "scaling.ptl",
        "upscaling": folder / "upscaling.ptl",
        "scaling_int32": folder / "scaling_int32.ptl",
        "scaling_int16": folder / "scaling_int16.ptl",
    }
    run_builder("export", "mobilenet_v2", "-o", paths["mobilenet_v2"])
    for name in ("control_flow", "identity", "needy"):
        run_builder(*("export", f"models:{name}", "--script", "--shape", "3,8", "-o", paths[name]))
    run_builder("export", "models:upscaling", "--shape", "1,4,8,8", "-o", paths["upscaling"])
    for dtype, name in (
        ("float32", "scaling"),
        ("int32", "scaling_int32"),
        ("int16", "scaling_int16"),
    ):
        asked = ("models:scaling", "--script", "--shape", "3,8", "--dtype", dtype)
        run_builder("export", *asked, "-o", paths[name])
    return paths


@pytest.fixture(scope="session")
def built(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("out with space")
    made = Built(out=out, models=models)
    run_builder("build", *made.wanted, "--abi", ABI, "-o", out)
    return made


@dataclass
class BuiltQuantised:
    """A runtime of QNNPACK's operators, of recurrent ones, and of rows and images."""

    out: Path
    model: Path
    """What `models:quantised` exports."""
    packed: dict
    """Modules of a few operators and the sizes of their input, by name."""
    files: dict
    """The files of `packed`, and two of recurrent operators."""

    @property
    def root(self):
        return self.out / ABI


@pytest.fixture(scope="session")
def built_quantised(tmp_path_factory):
    from tests.fuzz import modules

    from . import packed_models

    folder = tmp_path_factory.mktemp("quantised")
    model = folder / "quantised.ptl"
    run_builder("export", "models:quantised", "--shape", "1,3,16,16", "-o", model)
    packed = packed_models.make_quantised_models() | packed_models.make_vector_models()
    files = {
        name: packed_models.save(module, sizes, folder / f"{name}.ptl")
        for name, (module, sizes) in packed.items()
    }
    files["states"] = packed_models.save_unchecked(packed_models.UnevenStates(), folder / "s.ptl")
    files["forgotten"] = packed_models.save_unchecked(packed_models.Forgotten(), folder / "f.ptl")
    files["unpacked"] = packed_models.save_unchecked(packed_models.Unpacked(), folder / "u.ptl")
    files["written"] = packed_models.save_unchecked(modules.Written(), folder / "w.ptl")
    # test_hostile.py mutates these two.
    committed = [HERE.parent / f"data/models/{name}.ptl" for name in ("quantised", "lstm")]
    run_builder("build", model, *committed, *files.values(), "--abi", ABI, "-o", folder / "out")
    return BuiltQuantised(out=folder / "out", model=model, packed=packed, files=files)


@pytest.fixture(scope="session")
def vulkan_graphs(tmp_path_factory):
    """Group of calls -> its files for the GPU and for the CPU."""
    from .gpu_operators import GROUPS

    folder = tmp_path_factory.mktemp("graphs")
    made = {}
    for name, group in GROUPS.items():
        (folder / name).mkdir()
        made[name] = group.write(folder / name)
    return made


@pytest.fixture(scope="session")
def vulkan_out(vulkan_graphs, tmp_path_factory):
    """The runtime of all models, which needs no option: the models say that they are for Vulkan."""
    from .vulkan_runs import MODELS, NAMES

    folder = tmp_path_factory.mktemp("vulkan") / "out"
    models = [MODELS / f"{name}.ptl" for name in NAMES]
    files = [path for paths in vulkan_graphs.values() for path in paths]
    run_builder("build", *models, *files, "--abi", ABI, *FLOAT, "-o", folder)
    return folder


@pytest.fixture(scope="session")
def vulkan_quantised_out(vulkan_graphs, tmp_path_factory):
    """A runtime of the quantised kernels, with the dtypes that they need on the CPU too."""
    folder = tmp_path_factory.mktemp("vulkan quantised") / "out"
    run_builder("build", *vulkan_graphs["quantised"], "--abi", ABI, "-o", folder)
    return folder
