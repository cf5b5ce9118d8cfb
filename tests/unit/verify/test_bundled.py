from __future__ import annotations

import numpy as np
import pytest

from builder.core.arrays import to_tensor
from builder.core.nesting import Group, GroupKind
from builder.core.signatures import make_signature
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import ConfigurationError
from builder.verify.bundled import name_source, take_bundled

SELF = ("self", "__torch__.M", None)


def signatures(returns: str, name: str = "get_all_bundled_inputs"):
    return (make_signature(name, [SELF], [returns]),)


def leaf(value: object, dtype: str) -> Tensor:
    array = np.asarray(value, dtype)
    return to_tensor(array, TensorSpec(DType(dtype), array.shape))


IMAGE, OTHER = leaf([1.0, 2.0], "float32"), leaf([3.0], "float32")
THREE, FOUR = leaf(3, "int64"), leaf(4, "int64")
NUMBER = TensorSpec(DType.INT64, ())


def take(returns: str, leaves: list[Tensor], number: int = 0, method: str = "forward"):
    asked = []

    def run(name: str) -> list[Tensor]:
        asked.append(name)
        return leaves

    taken = take_bundled(signatures(returns), method, number, run, model="m.ptl")
    assert asked == ["get_all_bundled_inputs"]
    return taken


@pytest.mark.parametrize(("number", "image", "times"), [(0, IMAGE, THREE), (1, OTHER, FOUR)])
def test_each_call_gets_its_own_tensors_and_numbers(number, image, times) -> None:
    specs, leaves = take("List[Tuple[Tensor, int]]", [IMAGE, THREE, OTHER, FOUR], number)
    assert specs == (image.spec, NUMBER)
    assert leaves == (image, times)


def test_tuples_in_the_inputs_stay_tuples() -> None:
    specs, leaves = take("List[Tuple[Tuple[Tensor, int], Tensor]]", [IMAGE, THREE, OTHER])
    assert specs == (Group(GroupKind.TUPLE, (IMAGE.spec, NUMBER)), OTHER.spec)
    assert leaves == (IMAGE, THREE, OTHER)


def test_methods_have_inputs_of_their_own() -> None:
    both = signatures("List[Tuple[Tensor]]") + signatures(
        "List[Tuple[Tensor]]", "get_all_bundled_inputs_for_decode"
    )
    assert name_source(both, "forward") == "get_all_bundled_inputs"
    assert name_source(both, "decode") == "get_all_bundled_inputs_for_decode"
    assert name_source(both, "encode") is None


@pytest.mark.parametrize(
    "returns",
    [
        "List[Tuple[List[Tensor]]]",
        "List[Tuple[Dict[str, Tensor]]]",
        "List[Tuple[Optional[Tensor]]]",
        "List[Tuple[Tensor, str]]",
        "List[Tensor]",
        "Tuple[Tensor]",
        "List[(((",
    ],
)
def test_inputs_of_other_kinds_are_refused_before_anything_runs(returns: str) -> None:
    with pytest.raises(ConfigurationError, match="reads tensors, numbers and tuples") as caught:
        take_bundled(signatures(returns), "forward", 0, lambda _: pytest.fail("it ran"), model="m")
    assert "inputs=" in caught.value.hint


@pytest.mark.parametrize(
    ("leaves", "found"), [([], "no calls"), ([IMAGE, THREE, OTHER], "1 call ")]
)
def test_a_number_that_there_is_not(leaves: list[Tensor], found: str) -> None:
    with pytest.raises(ConfigurationError, match=found):
        take("List[Tuple[Tensor, int]]", leaves, 1)


def test_inputs_of_nothing_are_none() -> None:
    with pytest.raises(ConfigurationError, match="no calls"):
        take("List[Tuple]", [IMAGE])


def test_a_model_without_any() -> None:
    with pytest.raises(ConfigurationError, match=r"m\.ptl bundles no inputs for forward") as caught:
        take_bundled((), "forward", 0, lambda _: pytest.fail("it ran"), model="m.ptl")
    assert "bundle_inputs" in caught.value.hint
