from __future__ import annotations

import os
import zipfile
import zlib

import pytest
from android_samples import make_package

from builder.core.budgets import Budget, Budgets
from builder.errors import ConfigurationError, VerificationError
from builder.platforms.android.measure import measure_aar, refuse_aar_excess
from builder.platforms.android.repository import write_aar
from builder.platforms.android.sizes import FileSize

NOISE = os.urandom(1000)
FILES = {
    "jni/arm64-v8a/liba.so": b"a" * 5000,
    "jni/arm64-v8a/libb.so": NOISE,
    "jni/x86/liba.so": b"x" * 3000,
    "classes.jar": b"c" * 100,
    "assets/m/model.ptl": b"m" * 200,
    "res/values/values.xml": b"r" * 50,
    "headers/a.h": b"h" * 10_000,
    "jni/readme": b"n" * 10_000,
    "proguard.txt": b"p" * 10_000,
}


@pytest.fixture
def aar(tmp_path):
    path = tmp_path / "a.aar"
    with zipfile.ZipFile(path, "w") as stream:
        for name, content in FILES.items():
            stream.writestr(name, content)
    return path


def deflated(content):
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    return len(deflate.compress(content) + deflate.flush())


def test_what_goes_to_devices_is_measured_and_nothing_else(aar):
    sizes = measure_aar(aar)
    assert sizes.archive == aar.stat().st_size
    assert {abi: sorted(files) for abi, files in sizes.libraries.items()} == {
        "arm64-v8a": ["liba.so", "libb.so"],
        "x86": ["liba.so"],
    }
    assert sorted(sizes.shared) == ["assets/m/model.ptl", "classes.jar", "res/values/values.xml"]
    size = sizes.libraries["x86"]["liba.so"]
    assert size == FileSize(file=3000, compressed=deflated(b"x" * 3000))
    noise = sizes.libraries["arm64-v8a"]["libb.so"]
    assert noise == FileSize(file=1000, compressed=1000)  # an APK stores what does not shrink


def test_a_download_has_the_libraries_of_one_abi_and_what_all_get(aar):
    sizes = measure_aar(aar)
    every = sum(deflated(FILES[name]) for name in sizes.shared)
    assert sizes.download("x86") == deflated(b"x" * 3000) + every
    assert sizes.download("arm64-v8a") == deflated(b"a" * 5000) + 1000 + every


def test_budgets_hold_the_libraries_of_each_abi(aar):
    sizes = measure_aar(aar)
    refuse_aar_excess(sizes, Budgets(max_size=(Budget.parse("6000"),)), path=aar)
    budgets = Budgets(
        max_size=(Budget.parse("5999"), Budget.parse("x86=2999")),
        max_compressed=(Budget.parse("arm64-v8a=1000"),),
    )
    with pytest.raises(VerificationError) as caught:
        refuse_aar_excess(sizes, budgets, path=aar)
    message = caught.value.message
    assert "arm64-v8a: 6,000 bytes are 1 more than the limit 5999 allows" in message
    assert "x86: 3,000 bytes are 1 more than the limit x86=2999 allows" in message
    assert "the compressed limit" in message


def test_one_of_ours_is_measured(tmp_path):
    sizes = measure_aar(write_aar(make_package(tmp_path / "work"), tmp_path / "out").aar)
    assert set(sizes.libraries) == {"armeabi-v7a", "x86_64"}
    assert set(sizes.shared) == {"classes.jar"}
    assert sizes.library_total("x86_64").file == len("library x86_64")


def test_an_archive_without_libraries_is_refused(tmp_path):
    path = tmp_path / "empty.aar"
    with zipfile.ZipFile(path, "w") as stream:
        stream.writestr("classes.jar", b"")
    with pytest.raises(ConfigurationError, match="has no library of any ABI"):
        measure_aar(path)
