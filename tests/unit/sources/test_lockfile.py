import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from cyclonedx.spdx import is_expression

from builder.errors import ConfigurationError
from builder.sources.lockfile import parse_lock, read_lock, read_patch

RELEASE = Path(__file__).parents[3] / "third_party/2.6.0"
GOOD = """
version = "1.0"
[[source]]
name = "thing"
path = "third_party/thing"
version = "0.1~git1"
url = "https://example.org/thing"
commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
package = "thing"
file = "thing_0.1~git1.orig.tar.xz"
sha256 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
size = 10
unpacked = 20
strip = 1
licence = "MIT"
excluded = ["docs"]
"""
BUNDLED = """
[[source.bundled]]
name = "part"
path = "deps/part"
url = "https://example.org/part"
licence = "MIT"
"""


def test_the_shipped_lock_is_valid_and_carries_what_a_mobile_build_needs():
    lock = read_lock(RELEASE)
    paths = {pin.path for pin in lock.select().pins}
    assert lock.version == "2.6.0"
    assert {".", "third_party/XNNPACK", "third_party/gemmlowp/gemmlowp"} <= paths
    assert "third_party/torchvision" not in paths
    assert lock.features == ("apple", "pocketfft", "torchvision", "vulkan")
    assert all(pin.size and pin.unpacked for pin in lock.pins)


def test_the_shipped_lock_keeps_the_mobile_tests_only():
    pytorch = next(pin for pin in read_lock(RELEASE).pins if pin.name == "pytorch")
    assert pytorch.carries("test/mobile/model_test/ops.py")
    assert not pytorch.carries("test/test_torch.py")
    assert pytorch.carries("aten/src/ATen/test/x.cpp")


def test_every_shipped_url_has_its_hashes_and_is_upstreams_own():
    text = (RELEASE / "sources.lock.toml").read_text()
    for table in tomllib.loads(text)["source"]:
        assert len(table["commit"]) == 40
        assert len(table["sha256"]) == 64
    hosts = set(re.findall(r"[a-z]+://([^/\s\"]+)", text))
    assert hosts == {"github.com", "gitlab.com"}


def test_every_shipped_source_has_a_licence_that_is_a_valid_spdx_expression():
    pins = read_lock(RELEASE).pins
    licensed = {one.name: one.licence for pin in pins for one in (pin, *pin.bundled)}
    assert {"pytorch", "miniz", "qnnpack", "torchvision", "darwin-headers"} <= licensed.keys()
    assert [name for name, licence in licensed.items() if not is_expression(licence)] == []
    assert not is_expression("BSD-3")


def test_the_page_of_licences_names_every_source_with_its_licence():
    page = (RELEASE.parents[1] / "docs/reference/licences.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| [")]
    pins = read_lock(RELEASE).pins
    assert len(rows) == sum(1 + len(pin.bundled) for pin in pins)
    for pin in pins:
        (row,) = (row for row in rows if row.startswith(f"| [{pin.name}](") and "inside" not in row)
        assert row.endswith(f"| {pin.licence} |")


def test_what_a_source_bundles_is_in_it_and_does_not_change_the_digest():
    lock = parse_lock(GOOD, name="lock")
    (pin,) = parse_lock(GOOD + BUNDLED, name="lock").pins
    assert [(one.name, one.path, one.version) for one in pin.bundled] == [("part", "deps/part", "")]
    assert replace(lock, pins=(pin,)).digest == lock.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('path = "deps/part"', 'path = "../part"'),
        ('licence = "MIT"', 'licence = "M|T"'),
        ('licence = "MIT"', ""),
        ('url = "https:', 'url = "http:'),
        ('name = "part"', 'name = "part"\nsurprise = 1'),
        ('name = "part"', 'name = "part"\nstrip = 1'),
    ],
)
def test_refuses_a_bundled_source_that_is_malformed(old, new):
    text = BUNDLED.replace(old, new, 1)
    assert text != BUNDLED
    with pytest.raises(ConfigurationError, match="source 1: bundled 1"):
        parse_lock(GOOD + text, name="lock")


@pytest.mark.parametrize("value", ["1", '["a"]', '"deps"'])
def test_refuses_bundled_sources_that_are_no_tables(value):
    with pytest.raises(ConfigurationError, match="not a list of tables"):
        parse_lock(f"{GOOD}bundled = {value}\n", name="lock")


def test_a_feature_is_a_lock_of_its_own():
    lock = read_lock(RELEASE)
    vision = lock.select("torchvision")
    assert [pin.name for pin in vision.pins] == ["torchvision"]
    assert (vision.patches, vision.feature) == ((), "torchvision")
    assert len({lock.select(name).digest for name in ("", *lock.features)}) == 5
    assert lock.select().patches == lock.patches


def test_of_an_archive_of_something_larger_only_the_header_is_taken():
    (pin,) = read_lock(RELEASE).select("pocketfft").pins
    assert pin.inside == "include/gemmi/third_party"
    assert pin.carries("pocketfft_hdronly.h")
    assert not pin.carries("fast_float.h")


def test_of_torchvision_only_what_a_cpu_build_reads_is_taken():
    (pin,) = read_lock(RELEASE).select("torchvision").pins
    assert pin.carries("LICENSE")
    assert pin.carries("torchvision/csrc/ops/cpu/nms_kernel.cpp")
    assert not pin.carries("torchvision/csrc/ops/cuda/nms_kernel.cu")
    assert not pin.carries("setup.py")


def test_where_in_the_archive_a_source_is_changes_the_digest():
    lock = parse_lock(GOOD, name="lock")
    inside = parse_lock(GOOD + 'inside = "a/b"\n', name="lock")
    assert inside.pins[0].inside == "a/b"
    assert inside.digest != lock.digest


def test_parses_a_pin():
    (pin,) = parse_lock(GOOD, name="lock").pins
    assert pin.excluded == ("docs",)
    assert pin.kept == ()
    assert pin.feature == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('path = "third_party/thing"', 'path = "../thing"'),
        ('path = "third_party/thing"', 'path = "/etc"'),
        ('path = "third_party/thing"', 'path = "a/./b"'),
        ('url = "https:', 'url = "http:'),
        ('url = "https://', 'url = "https://user@'),
        ('commit = "a', 'commit = "'),
        ('sha256 = "b', 'sha256 = "B'),
        ("strip = 1", "strip = -1"),
        ("strip = 1", "strip = true"),
        ("size = 10", 'size = "10"'),
        ("size = 10", ""),
        ('file = "thing', 'file = "a/thing'),
        ('excluded = ["docs"]', 'excluded = "docs"'),
        ('excluded = ["docs"]', 'excluded = ["../docs"]'),
        ('excluded = ["docs"]', 'inside = "/docs"'),
        ('licence = "MIT"', 'licence = "MIT"\nsurprise = 1'),
        ('version = "1.0"', 'version = "1.0"\nsurprise = 1'),
        ("[[source]]", "[source]"),
        ("[[source]]", "[[source"),
    ],
)
def test_refuses_what_is_malformed(old, new):
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    with pytest.raises(ConfigurationError):
        parse_lock(text, name="lock")


def test_refuses_two_sources_in_one_place():
    twice = GOOD + GOOD[GOOD.index("[[source]]") :].replace('"thing"', '"other"')
    with pytest.raises(ConfigurationError, match="same path"):
        parse_lock(twice, name="lock")


def test_a_patch_must_give_its_reason(tmp_path):
    diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    (tmp_path / "1.patch").write_text(diff)
    with pytest.raises(ConfigurationError, match="reason"):
        read_patch(tmp_path / "1.patch")
    (tmp_path / "2.patch").write_text("Because\nof this.\n\n" + diff)
    assert read_patch(tmp_path / "2.patch").reason == "Because of this."


def test_a_missing_lock_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_lock(tmp_path)
