"""Why every character of builder's C++ is in the plan's key."""

from __future__ import annotations

import pytest

from builder import api
from builder.core.plan import Flavour, Profile
from builder.core.targets import parse_target
from builder.native.flags import load_tuning
from builder.system.machine import host_abi
from builder.system.process import Runner

pytestmark = pytest.mark.host


def test_a_comment_in_cxx_changes_an_object_of_the_debug_profile(tmp_path):
    toolchain = api.locate_toolchain(parse_target(host_abi()))
    if toolchain.compiler_major < 14:
        pytest.skip("older releases write DWARF 4, which has no checksums")
    flags = load_tuning(Flavour(profile=Profile.DEBUG), toolchain, ()).compile
    objects = set()
    for comment in ("one", "two"):
        (tmp_path / "a.cpp").write_text(f"// {comment}\nint f(int x) {{ return x + 1; }}\n")
        command = (str(toolchain.cxx.path), *flags, "-c", "a.cpp", "-o", "a.o")
        Runner.inherit_for_tools().check(command, step="compiling", cwd=tmp_path)
        objects.add((tmp_path / "a.o").read_bytes())
    assert len(objects) == 2
