"""Which variables of the environment reach compilers and the other tools that make a build."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import builder
from builder.platforms.android.ndk import NAMED_BY, SDKS
from builder.system.process import Runner
from builder.system.variables import keep_variables

CHANGING = (
    *("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "ASMFLAGS", "ASM", "OBJCXX", "OBJCXXFLAGS"),
    *(
        "CPATH",
        "C_INCLUDE_PATH",
        "CPLUS_INCLUDE_PATH",
        "OBJC_INCLUDE_PATH",
        "OBJCPLUS_INCLUDE_PATH",
    ),
    *("LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "LD_RUN_PATH", "CCC_OVERRIDE_OPTIONS"),
    *(
        "CCC_ADD_ARGS",
        "QA_OVERRIDE_GCC3_OPTIONS",
        "RC_DEBUG_OPTIONS",
        "CL",
        "_CL_",
        "INCLUDE",
        "LIB",
    ),
    *(
        "SDKROOT",
        "MACOSX_DEPLOYMENT_TARGET",
        "IPHONEOS_DEPLOYMENT_TARGET",
        "TOOLCHAINS",
        "ARCHFLAGS",
    ),
    *(
        "TVOS_DEPLOYMENT_TARGET",
        "XROS_DEPLOYMENT_TARGET",
        "SOURCE_DATE_EPOCH",
        "ZERO_AR_DATE",
        "TZ",
    ),
    *(
        "CMAKE_PREFIX_PATH",
        "CMAKE_TOOLCHAIN_FILE",
        "CMAKE_BUILD_TYPE",
        "CMAKE_GENERATOR",
        "NINJAFLAGS",
    ),
    *("USE_CUDA", "BUILD_TEST", "BLAS", "MAKEFLAGS", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONOPTIMIZE", "PYTHONHASHSEED", "PYTHONSTARTUP", "BASH_ENV"),
    *("CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVAC_OPTIONS", "NIX_CFLAGS_COMPILE", "LANG", "ENV"),
    *("CCACHE_CC", "CCACHE_COMPILER", "ICECC_CC", "ICECC_CXX", "A_VARIABLE_OF_NEXT_YEAR"),
)


@pytest.mark.parametrize("name", CHANGING)
def test_what_changes_the_output_of_tools_does_not_reach_them(name, monkeypatch):
    monkeypatch.setenv(name, "x")
    assert Runner.inherit().environment[name] == "x"
    assert name not in Runner.inherit_for_tools().environment


def test_what_tools_need_reaches_them(monkeypatch):
    needed = {
        *("PATH", "HOME", "TMPDIR", "CC", "CXX", "JAVA_HOME", "DEVELOPER_DIR", *NAMED_BY, *SDKS),
        *("CCACHE_DIR", "DISTCC_HOSTS", "ICECC_VERSION", "SCCACHE_BUCKET", "AWS_PROFILE"),
        *("https_proxy", "SSH_AUTH_SOCK", "LD_LIBRARY_PATH"),
    }
    for name in needed:
        monkeypatch.setenv(name, "x")
    kept = Runner.inherit_for_tools().environment
    assert {name for name in needed if kept.get(name) == "x"} == needed
    assert kept["LC_ALL"] == "C.UTF-8"
    assert kept == {**keep_variables(os.environ), "LC_ALL": "C.UTF-8"}


def test_only_what_is_checked_or_run_otherwise_gets_the_whole_environment():
    """Sources are held against digests, and a runtime that is verified is no part of a build."""
    package = Path(builder.__file__).parent
    whole = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "Runner.inherit(" in path.read_text() or "Runner(environment=" in path.read_text()
    }
    verifying = {"api/proofs.py", "api/verification.py"}
    # Comments are posted after a build, and packages are installed before one.
    others = {"api/comments.py", "api/repairs.py"}
    assert whole == {*verifying, *others, "sources/trees.py", "system/process.py"}
