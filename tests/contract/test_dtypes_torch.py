"""What builder says of dtypes, held against torch itself."""

import itertools

import pytest

from builder.core.dtypes import SCALAR_TYPES
from builder.models.dtype_arguments import load_dtype_arguments
from builder.selection.choose_dtypes import load_dtype_rules

pytestmark = pytest.mark.torch


def test_codes_are_those_of_torch():
    import torch

    @torch.jit.script
    def code_of(x):
        return x.dtype

    for code, name in enumerate(SCALAR_TYPES):
        if not name.startswith("q"):
            assert code_of(torch.empty(0, dtype=getattr(torch, name))) == code


@pytest.mark.parametrize("name", load_dtype_rules().sets)
def test_sets_are_closed_under_promotion(name):
    import torch

    dtypes = load_dtype_rules().sets[name].to_json()
    plain = [getattr(torch, dtype) for dtype in dtypes if not dtype.startswith(("q",))]
    for left, right in itertools.combinations(plain, 2):
        assert torch.promote_types(left, right) in plain


def test_places_are_those_of_the_schemas():
    import torch

    places, checked = load_dtype_arguments().places, 0
    for schema in torch._C._jit_get_all_schemas():
        name = f"{schema.name}.{schema.overload_name}".rstrip(".")
        expected = [at for at, a in enumerate(schema.arguments) if a.name.endswith("dtype")]
        if name.startswith("aten::") and name in places:
            assert list(places[name]) == expected or name in {
                "aten::can_cast",
                "aten::promote_types",
            }
            checked += 1
    assert checked > 100
