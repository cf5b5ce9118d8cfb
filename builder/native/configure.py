"""Configures upstream's build and runs its code generators, without touching its tree."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from builder.core.plan import DispatchBackend
from builder.core.sources import SourceTree
from builder.core.targets import Platform
from builder.core.toolchain import Toolchain
from builder.native.cmake_file_api import QUERY
from builder.system.files import write_atomically, write_if_changed
from builder.system.process import Runner
from builder.system.trees import make_folders

_NO_SELECTION = """\
include_all_non_op_selectives: false
include_all_operators: false
debug_info: []
operators: {}
kernel_metadata: {}
custom_classes: []
build_features: []
"""


def configure(
    tree: SourceTree,
    toolchain: Toolchain,
    binary: Path,
    *,
    options: Mapping[str, str],
    dispatch: Sequence[DispatchBackend],
    runner: Runner,
    log: Path,
) -> None:
    """Runs upstream's CMake in `binary`; asks for the codemodel through the file API.

    Args:
        tree: PyTorch's source tree.
        toolchain: what compiles.
        binary: the folder for what CMake writes.
        options: the release's options of upstream's CMake.
        dispatch: the backends of static dispatch.
        runner: starts CMake.
        log: the file for CMake's full output.

    Raises:
        NativeBuildError: CMake failed; carries its last lines.
    """
    # CMake writes its codemodel only where an empty file with this name asks for it
    # (cmake-file-api(7)).
    query = binary / QUERY
    make_folders(query.parent)
    query.touch()
    programs = {
        "CMAKE_MAKE_PROGRAM": toolchain.ninja.path,
        "CMAKE_C_COMPILER": toolchain.cc.path,
        "CMAKE_CXX_COMPILER": toolchain.cxx.path,
        "Python_EXECUTABLE": toolchain.python.path,
        "STATIC_DISPATCH_BACKEND": ";".join(dispatch),
    }
    settings = {**options, **programs, **dict(toolchain.configuration)}
    defines = (f"-D{key}={value}" for key, value in settings.items())
    # scripts/build_mobile.sh sets this to compile the mobile runtime with the compilers of the
    # host.
    mobile = {"BUILD_PYTORCH_MOBILE_WITH_HOST_TOOLCHAIN": "1"}
    environment = mobile if toolchain.target.platform is Platform.LINUX else {}
    # Bytecode beside the sources would change the tree, whose files are checked by their digests.
    runner = runner.with_environment(**environment, PYTHONDONTWRITEBYTECODE="1")
    command = (str(toolchain.cmake.path), "-S", str(tree.root), "-B", str(binary), "-G", "Ninja")
    runner.check((*command, *defines), step="configuring PyTorch", log=log)


def generate(
    tree: SourceTree,
    toolchain: Toolchain,
    output: Path,
    *,
    dispatch: Sequence[DispatchBackend],
    runner: Runner,
    log_folder: Path,
) -> None:
    """Runs torchgen and the autograd generator into `output`.

    Nothing is registered by what they write: registrations depend on the operator list and come
    from builder.selection. So every generated file is the same for every operator list and target.

    Raises:
        NativeBuildError: a generator failed; carries its last lines.
    """
    runner = runner.with_environment(PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=str(tree.root))
    make_folders(output)
    selection = output / "no_selection.yaml"
    write_atomically(selection, _NO_SELECTION)
    aten = tree.root / "aten/src/ATen"
    # torchgen checks that these files are up to date, and writes them; upstream's tree must not
    # change.
    shims = output / "aoti"
    shutil.copytree(
        tree.root / "torch/csrc/inductor/aoti_torch/generated", shims, dirs_exist_ok=True
    )
    python = str(toolchain.python.path)
    runner.check(
        (
            *(python, "-m", "torchgen.gen", "--source-path", str(aten), "--per-operator-headers"),
            *("--install_dir", str(output / "aten/src/ATen"), "--aoti_install_dir", str(shims)),
            *("--backend_whitelist", "CPU", "QuantizedCPU"),
            *("--static_dispatch_backend", *dispatch),
            *("--op_selection_yaml_path", str(selection)),
        ),
        step="generating ATen",
        cwd=output,
        log=log_folder / "torchgen.log",
    )
    runner.check(
        (
            *(python, str(tree.root / "tools/setup_helpers/generate_code.py")),
            *("--native-functions-path", str(aten / "native/native_functions.yaml")),
            *("--tags-path", str(aten / "native/tags.yaml")),
            # Headers only: derivatives are not part of a runtime for inference.
            *("--disable-autograd", "--subset", "libtorch", "--gen-dir", str(output)),
        ),
        step="generating autograd headers",
        cwd=output,
        log=log_folder / "autograd.log",
    )
    if DispatchBackend.QUANTIZED_CPU in dispatch:
        _touch_absent_dispatch_headers(output / "aten/src/ATen/ops")


def make_includes_relative(binary: Path, source: Path) -> None:
    """Rewrites the one absolute include of the kernel copies that upstream's CMake writes.

    Otherwise `__FILE__` in every kernel would name a folder of this machine.
    """
    for copy in (binary / "aten/src/ATen").rglob("*.DEFAULT.cpp"):
        text = copy.read_text()
        for root in (source, binary):
            text = text.replace(f'"{root}/aten/src/', '"')
        write_if_changed(copy, text)


def _touch_absent_dispatch_headers(ops: Path) -> None:
    """Creates empty `*_quantizedcpu_dispatch.h` files that torchgen includes but does not write."""
    for header in ops.glob("*_cpu_dispatch.h"):
        absent = ops / header.name.replace("_cpu_dispatch.h", "_quantizedcpu_dispatch.h")
        absent.touch()
