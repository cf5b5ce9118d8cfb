"""The checksum of records, compiled alone and compared with zlib's."""

from __future__ import annotations

import ctypes
import random
import subprocess
import zlib

import pytest

from builder.api.toolchains import locate_target, locate_toolchain
from builder.system.folders import data_folder
from builder.system.machine import host_abi

WITHOUT_INSTRUCTIONS = ("-D__builtin_cpu_supports(name)=false",)


@pytest.mark.parametrize("flags", [(), WITHOUT_INSTRUCTIONS], ids=["instructions", "tables"])
def test_checksums_are_those_of_zlib(tmp_path, flags):
    compiler = locate_toolchain(locate_target(host_abi())).cxx.path
    source = data_folder("cmake") / "runtime/crc32.cpp"
    library = tmp_path / "crc32.so"
    subprocess.run(
        [compiler, "-std=c++17", "-Oz", "-fPIC", "-shared", *flags, source, "-o", library],
        check=True,
    )
    function = ctypes.CDLL(str(library)).mz_crc32
    function.restype = ctypes.c_ulong
    function.argtypes = [ctypes.c_ulong, ctypes.c_char_p, ctypes.c_size_t]
    source_of_bytes = random.Random(0)
    for size in (*range(200), 1000, 4096, 65537, 1 << 20):
        data = source_of_bytes.randbytes(size)
        start = source_of_bytes.getrandbits(32)
        assert function(start, data, size) == zlib.crc32(data, start), size
        # In two parts of any sizes, as a stream is read.
        cut = size // 3
        first = function(0, data[:cut], cut)
        assert function(first, data[cut:], size - cut) == zlib.crc32(data), size
    assert function(1, None, 0) == 0
