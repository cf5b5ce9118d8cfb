import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.arrays import sample_inputs, to_array
from builder.core.input_descriptions import parse_shape, parse_specs
from builder.core.tensors import DType, TensorSpec
from builder.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1,3,224,224", (1, 3, 224, 224)),
        ("5", (5,)),
        (" 2 , 0 ", (2, 0)),
        ("scalar", ()),
        ("2x3", (2, 3)),
    ],
)
def test_shapes_are_read(text: str, shape: tuple[int, ...]) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "1,,2", "-1,3", "1.5", "a", "1,", "٣", "99999,99999,99999"])
def test_bad_shapes_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_shape(text)


def test_one_dtype_serves_all_shapes_and_none_means_float32() -> None:
    assert [s.dtype for s in parse_specs(["1", "2"], ["int64"])] == [DType.INT64] * 2
    assert parse_specs(["1"], []) == (TensorSpec(DType.FLOAT32, (1,)),)
    assert parse_specs([], []) == ()


@pytest.mark.parametrize("dtypes", [["int64", "bool"], ["bfloat16"]])
def test_dtypes_must_match_and_be_known(dtypes: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        parse_specs(["1", "2", "3"], dtypes)


@given(
    st.sampled_from(list(DType)),
    st.lists(st.integers(0, 5), max_size=3).map(tuple),
    st.integers(0, 2**32),
)
def test_samples_fit_their_spec_and_repeat(dtype: DType, shape: tuple[int, ...], seed: int) -> None:
    spec = TensorSpec(dtype, shape)
    (tensor,) = sample_inputs([spec], seed=seed)
    array = to_array(tensor)
    assert array.shape == shape
    assert array.dtype == str(dtype)
    assert sample_inputs([spec], seed=seed) == (tensor,)
    if dtype not in {DType.FLOAT16, DType.FLOAT32, DType.FLOAT64}:
        assert all(0 <= value <= 7 for value in array.ravel())


@pytest.mark.parametrize("dtype", list(DType))
def test_samples_of_any_size_are_those_that_are_drawn_at_once(dtype: DType) -> None:
    specs = [TensorSpec(dtype, (3, 70_001)), TensorSpec(dtype, (5,))]
    generator = np.random.default_rng(7)
    for spec, tensor in zip(specs, sample_inputs(specs, seed=7), strict=True):
        if dtype.startswith("float"):
            values = generator.standard_normal(spec.shape)
        else:
            values = generator.integers(0, 2 if dtype is DType.BOOL else 8, spec.shape)
        assert np.array_equal(to_array(tensor), values.astype(str(dtype)))


@pytest.mark.parametrize("shape", [(1 << 29, 1 << 29), (1 << 62, 4), (0, 1 << 63), (1,) * 65])
def test_samples_that_no_memory_holds_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="no sample can be made"):
        sample_inputs([TensorSpec(DType.FLOAT64, shape)], seed=0)


def test_another_seed_gives_other_values() -> None:
    spec = TensorSpec(DType.FLOAT32, (8,))
    assert sample_inputs([spec], seed=0) != sample_inputs([spec], seed=1)
