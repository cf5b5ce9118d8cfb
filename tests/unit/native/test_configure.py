from __future__ import annotations

from pathlib import Path

import pytest
from samples import FakeRunner, make_toolchain

from builder.core.plan import DispatchBackend
from builder.core.sources import SourceTree
from builder.errors import NativeBuildError
from builder.native.cmake_file_api import QUERY
from builder.native.configure import configure, generate, make_includes_relative
from builder.system.process import Completed

BOTH = (DispatchBackend.CPU, DispatchBackend.QUANTIZED_CPU)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "source tree"
    shims = root / "torch/csrc/inductor/aoti_torch/generated"
    shims.mkdir(parents=True)
    (shims / "c_shim_cpu.h").write_text("shim")
    return SourceTree(root=root, version="2.6.0", digest="5" * 64)


@pytest.fixture
def binary(tmp_path):
    return tmp_path / "build folder"


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_upstream_is_asked_for_its_graph_and_left_alone(tree, binary, tmp_path):
    before = snapshot(tree.root)
    runner = FakeRunner.saying("")
    log = tmp_path / "x.log"
    configure(
        tree,
        make_toolchain(),
        binary,
        options={"BUILD_LITE_INTERPRETER": "ON"},
        dispatch=BOTH,
        runner=runner,
        log=log,
    )
    (command,) = runner.commands
    assert command[:5] == ("/usr/bin/cmake", "-S", str(tree.root), "-B", str(binary))
    assert {"-DBUILD_LITE_INTERPRETER=ON", "-DCMAKE_CXX_COMPILER=/usr/bin/clang++"} <= set(command)
    assert "-DSTATIC_DISPATCH_BACKEND=CPU;QuantizedCPU" in command
    assert runner.extra["BUILD_PYTORCH_MOBILE_WITH_HOST_TOOLCHAIN"] == "1"
    assert (binary / QUERY).is_file()
    assert snapshot(tree.root) == before


def test_a_failing_configuration_is_named(tree, binary, tmp_path):
    runner = FakeRunner.saying("CMake Error: no compiler\n", 1)
    with pytest.raises(NativeBuildError, match="configuring PyTorch failed") as caught:
        configure(
            tree,
            make_toolchain(),
            binary,
            options={},
            dispatch=BOTH,
            runner=runner,
            log=tmp_path / "x.log",
        )
    assert "no compiler" in caught.value.message


@pytest.fixture
def run(tree, binary, tmp_path):
    """Generates; the generators write what upstream's would."""

    def call(*dispatch: DispatchBackend) -> FakeRunner:
        def answer(command: tuple[str, ...]) -> Completed:
            ops = binary / "aten/src/ATen/ops"
            ops.mkdir(parents=True, exist_ok=True)
            for name in ("add_cpu_dispatch.h", "mul_cpu_dispatch.h", "mul_quantizedcpu_dispatch.h"):
                (ops / name).write_text("written")
            return Completed(0, "")

        runner = FakeRunner(answer=answer)
        generate(
            tree, make_toolchain(), binary, dispatch=dispatch, runner=runner, log_folder=tmp_path
        )
        return runner

    return call


def test_nothing_is_registered_by_what_is_generated(run, binary):
    torchgen, autograd = run(*BOTH).commands
    assert torchgen[:3] == ("/usr/bin/python3", "-m", "torchgen.gen")
    assert torchgen[torchgen.index("--static_dispatch_backend") + 1 :][:2] == BOTH
    selection = Path(torchgen[torchgen.index("--op_selection_yaml_path") + 1])
    assert "operators: {}" in selection.read_text()
    assert "include_all_operators: false" in selection.read_text()
    assert autograd[1].endswith("tools/setup_helpers/generate_code.py")
    assert autograd[-2:] == ("--gen-dir", str(binary))


def test_kernels_do_not_name_a_folder_of_this_machine(tree, binary):
    kernel = binary / "aten/src/ATen/native/cpu/Add.cpp.DEFAULT.cpp"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(f'#include "{tree.root}/aten/src/ATen/native/cpu/Add.cpp"\n')
    make_includes_relative(binary, tree.root)
    assert kernel.read_text() == '#include "ATen/native/cpu/Add.cpp"\n'


def test_headers_that_torchgen_includes_without_writing_them_are_there(run, binary):
    ops = binary / "aten/src/ATen/ops"
    run(DispatchBackend.CPU)
    assert not (ops / "add_quantizedcpu_dispatch.h").exists()
    run(*BOTH)
    assert (ops / "add_quantizedcpu_dispatch.h").read_text() == ""
    assert (ops / "mul_quantizedcpu_dispatch.h").read_text() == "written"


def test_the_tree_is_only_read(run, tree, binary):
    before = snapshot(tree.root)
    run(*BOTH)
    assert snapshot(tree.root) == before
    assert (binary / "aoti/c_shim_cpu.h").read_text() == "shim"
