from pathlib import Path

import pytest

from builder.core.tensors import DType, ReferenceCase, Tensor, TensorSpec
from builder.errors import ConfigurationError
from builder.export.output import check_writable, write_model
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import reference_path

CASE = ReferenceCase(
    inputs=(),
    outputs=(Tensor(TensorSpec(DType.INT8, (1,)), b"\1"),),
    torch_version="1",
    model_sha256="a" * 64,
)


def test_model_and_reference_case_are_written(tmp_path: Path) -> None:
    output = tmp_path / "new folder" / "m.ptl"
    assert write_model(output, b"lite", CASE) == reference_path(output)
    assert output.read_bytes() == b"lite"
    assert read_reference(reference_path(output)) == CASE
    assert len(list(output.parent.iterdir())) == 2


def test_older_reference_case_does_not_outlive_its_model(tmp_path: Path) -> None:
    output = tmp_path / "m.ptl"
    write_model(output, b"old", CASE)
    assert write_model(output, b"new", None) is None
    assert list(tmp_path.iterdir()) == [output]


def test_outputs_that_cannot_be_files_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path, tmp_path / "file" / "m.ptl"):
        with pytest.raises(ConfigurationError):
            check_writable(output)
    check_writable(tmp_path / "a" / "b" / "m.ptl")
    assert not (tmp_path / "a").exists()
