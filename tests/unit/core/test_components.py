from __future__ import annotations

import pytest

from builder.core.components import Component, describe_sources
from builder.sources.releases import load_release

PINS = load_release().lock.pins


def name_sources(*read):
    return [one.name for one in describe_sources(PINS, read)]


def test_a_file_belongs_to_the_innermost_source():
    assert name_sources("aten/src/ATen/native/quantized/cpu/qadd.cpp") == ["pytorch"]
    assert name_sources("aten/src/ATen/native/quantized/cpu/qnnpack/src/add.c") == ["qnnpack"]
    assert name_sources("third_party/gemmlowp/gemmlowp/fixedpoint/fixedpoint.h") == ["gemmlowp"]
    assert name_sources("third_party/miniz-3.0.2/miniz.h") == ["miniz"]


def test_a_folder_whose_name_starts_alike_is_another():
    assert name_sources("third_party/fmt-nls/x.h") == ["pytorch"]
    assert name_sources("third_party/FP16") == ["pytorch"]


def test_sources_of_which_nothing_was_read_are_not_named():
    read = ("third_party/XNNPACK/a.c", "c10/b.h", "third_party/XNNPACK/b.h")
    assert name_sources(*read) == ["pytorch", "xnnpack"]
    assert name_sources() == []


def test_a_pin_says_what_was_pinned_and_bundled_code_what_is_known():
    miniz, xnnpack = describe_sources(PINS, ["third_party/miniz-3.0.2/a", "third_party/XNNPACK/a"])
    assert (miniz.version, miniz.licence, miniz.commit, miniz.sha256) == ("3.0.2", "MIT", "", "")
    assert xnnpack.commit.startswith("4ea82e5")
    assert xnnpack.sha256.startswith("90bde2ca")
    assert xnnpack.archive == "xnnpack_0.0~git20241108.4ea82e5.orig.tar.xz"
    assert not xnnpack.prebuilt


@pytest.mark.parametrize(
    ("url", "github"),
    [
        ("https://github.com/google/XNNPACK", ("google", "XNNPACK")),
        ("https://github.com/google/XNNPACK.git", ("google", "XNNPACK")),
        ("https://github.com/google/XNNPACK/", ("google", "XNNPACK")),
        ("https://github.com/google", None),
        ("https://github.com/google/XNNPACK/tree/master", None),
        ("https://gitlab.com/libeigen/eigen", None),
        ("https://example.org/github.com/a/b", None),
        ("", None),
    ],
)
def test_repositories_on_github_are_known(url, github):
    assert Component(name="x", url=url).github == github
