from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from builder.core.arrays import sample_inputs
from builder.core.tensors import Call, DType, ReferenceCase, TensorSpec
from builder.system.reference_cases import write_reference
from builder.system.reference_headers import find_input_dtypes, reference_path


def case_of(*inputs: DType) -> ReferenceCase:
    specs = [TensorSpec(dtype, (2,)) for dtype in inputs]
    return ReferenceCase(
        inputs=sample_inputs(specs, seed=0),
        outputs=sample_inputs([TensorSpec(DType.INT64, ())], seed=1),
        torch_version="1.13",
        model_sha256="f" * 64,
    )


def test_input_dtypes_are_read_for_the_right_model_only(tmp_path: Path) -> None:
    model = tmp_path / "m.ptl"
    assert find_input_dtypes(model, "0" * 64) is None
    case = case_of(DType.FLOAT32, DType.BOOL)
    write_reference(reference_path(model), case)
    assert find_input_dtypes(model, case.model_sha256) == {"float32", "bool"}
    assert find_input_dtypes(model, "e" * 64) is None


def test_inputs_of_every_method_count(tmp_path: Path) -> None:
    model, case = tmp_path / "m.ptl", case_of(DType.FLOAT32)
    call = Call(method="m_1", inputs=case_of(DType.INT8).inputs, outputs=case.outputs)
    write_reference(reference_path(model), replace(case, methods=(call,)))
    assert find_input_dtypes(model, case.model_sha256) == {"float32", "int8"}


@given(dtype=st.sampled_from(DType))
def test_every_dtype_of_an_input_is_known(tmp_path_factory, dtype: DType) -> None:
    model = tmp_path_factory.mktemp("m") / "m.ptl"
    case = case_of(dtype)
    write_reference(reference_path(model), case)
    assert find_input_dtypes(model, case.model_sha256) == {str(dtype)}


@given(content=st.binary(max_size=60))
def test_hostile_headers_tell_nothing(tmp_path_factory, content: bytes) -> None:
    model = tmp_path_factory.mktemp("m") / "m.ptl"
    reference_path(model).write_bytes(len(content).to_bytes(8, "little") + content)
    assert find_input_dtypes(model, "0" * 64) is None
