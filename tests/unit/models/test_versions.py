from __future__ import annotations

from dataclasses import replace

import pytest

from builder.core.model_facts import BytecodeVersions
from builder.errors import ModelError
from builder.models.read import check_bytecode_version, read_model

READABLE = BytecodeVersions(min=4, max=9)


@pytest.mark.parametrize("version", [4, 8, 9, None])
def test_readable_versions_pass(data, version):
    check_bytecode_version(
        replace(read_model(data / "conv.ptl"), bytecode_version=version), READABLE
    )


@pytest.mark.parametrize(("version", "word"), [(3, "export(SOURCE)"), (10, "bytecode_version=8")])
def test_other_versions_name_the_range_and_the_way(data, version, word):
    info = replace(read_model(data / "conv.ptl"), bytecode_version=version)
    with pytest.raises(ModelError, match=rf"version {version}; .* 4 to 9") as caught:
        check_bytecode_version(info, READABLE)
    assert word in caught.value.hint
