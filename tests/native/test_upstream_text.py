"""What becomes of the texts of upstream's errors, compiled alone."""

from __future__ import annotations

import ctypes
import subprocess

import pytest

from builder.api.toolchains import locate_target, locate_toolchain
from builder.system.folders import data_folder
from builder.system.machine import host_abi

PROGRAM = """
#include "upstream_text.h"
extern "C" const char* reword(const char* text) {
  static std::string kept;
  return (kept = torchlite::reword(text)).c_str();
}
"""
GENERAL = "an operator was given what it is not made for"
TEXTS = {
    "Expected weight.dim() == 4 to be true, but got false.  (Could this error message be improved?"
    "  If so, please report an enhancement request to PyTorch.)": (
        "Expected weight.dim() == 4 to be true, but got false."
    ),
    'x > 0 INTERNAL ASSERT FAILED at "a.cpp":1, please report a bug to PyTorch. Sizes differ.': (
        "Sizes differ."
    ),
    'x > 0 INTERNAL ASSERT FAILED at "a.cpp":1, please report a bug to PyTorch. ': GENERAL,
    "Unsupported TypeMeta in ATen: x (please report this error)": "Unsupported TypeMeta in ATen: x",
    "Max works per tensor. Please open an issue on https://github.com/pytorch/pytorch/issues if "
    "you need more.": "Max works per tensor.",
    "empty_strided is not supported yet see https://github.com/pytorch/pytorch/issues/74540": (
        "empty_strided is not supported yet"
    ),
    "not supported on mobile (see https://github.com/pytorch/pytorch/pull/30108)": (
        "not supported on mobile"
    ),
    "Out of range (between 0 and 3, but got 4).  NB: negative dims not currently supported; file "
    "an issue if you want it.": (
        "Out of range (between 0 and 3, but got 4).  NB: negative dims not currently supported"
    ),
    "Could not run 'aten::add.Tensor' with arguments from the 'CPU' backend. This could be because "
    "the operator doesn't exist for this backend. If you are a Facebook employee, see x.\n\nCPU: "
    "registered at b.cpp": (
        "Could not run 'aten::add.Tensor' with arguments from the 'CPU' backend."
    ),
    "no fallback is registered for f.  This usually means that it requires a list, or that you "
    "(the operator writer) forgot to register one.": (
        "no fallback is registered for f.  This usually means that it requires a list"
    ),
    "Its data is not allocated yet.\nIf you're using torch.compile/export/fx, see x.": (
        "Its data is not allocated yet."
    ),
    "Following ops cannot be found: [a::b.c]. Please check if the operator library is included in "
    "the build. If you are a Meta employee, see fburl.com/x.": (
        "the runtime lacks the operators [a::b.c]"
    ),
    "[enforce fail at c.cpp:12] x. Too long.": "Too long.",
    "Static dispatch does not support relu forCPU": "the runtime has no kernel for relu",
    "The size (3) is not 1.5; it must match. See aten::add.Tensor!": (
        "The size (3) is not 1.5; it must match. See aten::add.Tensor!"
    ),
    "": GENERAL,
}


@pytest.fixture(scope="module")
def reword(tmp_path_factory):
    compiler = locate_toolchain(locate_target(host_abi())).cxx.path
    folder = tmp_path_factory.mktemp("reword")
    (folder / "program.cpp").write_text(PROGRAM)
    runtime = data_folder("cmake") / "runtime"
    sources = (folder / "program.cpp", runtime / "upstream_text.cpp")
    options = ("-std=c++17", "-Wall", "-Werror", "-fPIC", "-shared", f"-I{runtime}")
    library = folder / "library.so"
    subprocess.run([compiler, *options, *sources, "-o", library], check=True)
    function = ctypes.CDLL(str(library)).reword
    function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_char_p]
    return lambda text: function(text.encode()).decode()


@pytest.mark.parametrize("text", TEXTS)
def test_nobody_is_sent_to_upstream(reword, text):
    assert reword(text) == TEXTS[text]


def test_the_time_is_linear_in_the_text(reword):
    """Names in a model are part of some texts; a quadratic rule would take hours."""
    assert reword("Please file a bug. " * 500_000) == GENERAL
