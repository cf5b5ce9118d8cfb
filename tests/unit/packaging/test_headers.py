from __future__ import annotations

import re

from builder.core.plan import Interface
from builder.core.targets import parse_target
from builder.native.interfaces import ABI_VERSION, LIBRARIES
from builder.packaging.headers import list_headers
from builder.system.folders import data_folder


def test_every_header_is_there():
    assert all(path.is_file() for path in list_headers().values())
    shipped = {path.name for path in (data_folder("cmake") / "include").rglob("*.h*")}
    assert shipped <= {path.name for path in list_headers().values()}


def test_the_version_of_the_c_api_is_the_same_everywhere():
    header = list_headers()["torchlite.h"].read_text()
    assert re.findall(r"#define TORCHLITE_ABI_VERSION (\d+)", header) == [str(ABI_VERSION)]
    package = data_folder("cmake") / "package"
    text = (package / "TorchLiteConfigVersion.cmake").read_text()
    assert f'set(PACKAGE_VERSION "{ABI_VERSION}.0.0")' in text
    assert f"libtorchlite.so.{ABI_VERSION}" in (package / "TorchLiteConfig.cmake").read_text()
    assert f"\nVersion: {ABI_VERSION}.0.0\n" in (package / "torchlite.pc").read_text()


def test_only_the_c_library_for_linux_has_it_in_its_name():
    named = {
        (interface, abi): LIBRARIES[interface].name_for(parse_target(abi))
        for interface in Interface
        for abi in ("linux-x86_64", "arm64-v8a")
    }
    versioned = {key for key, name in named.items() if not name.endswith(".so")}
    assert versioned == {(Interface.C, "linux-x86_64")}
    assert named[Interface.C, "linux-x86_64"] == "libtorchlite.so.1"
