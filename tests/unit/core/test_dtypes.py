import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.dtypes import ALL, EVERYTHING, SCALAR_TYPES, DtypeSet

names = st.frozensets(st.sampled_from(SCALAR_TYPES), min_size=1)
sets = st.one_of(st.just(EVERYTHING), names.map(DtypeSet))


@given(sets)
def test_a_set_survives_its_names(dtypes):
    assert DtypeSet.of(dtypes.to_json()) == dtypes
    assert DtypeSet.of(str(dtypes).split(",")) == dtypes


@given(sets, sets)
def test_a_union_lacks_nothing_of_either(left, right):
    union = left | right
    assert union == right | left
    assert union.lacks(left) == union.lacks(right) == ()


@given(names, names)
def test_what_lacks_is_the_difference_by_code(left, right):
    lacking = DtypeSet(left).lacks(DtypeSet(right))
    assert set(lacking) == right - left
    assert list(lacking) == sorted(lacking, key=SCALAR_TYPES.index)


def test_a_limited_set_lacks_everything():
    assert DtypeSet.of(["bool"]).lacks(EVERYTHING) == (ALL,)


def test_masks_have_a_bit_per_code():
    assert DtypeSet.of(["uint8", "float32", "bool"]).mask == 0b1000_0100_0001
    assert EVERYTHING.mask is None


@pytest.mark.parametrize(
    ("given_names", "words"),
    [
        ([], "no dtype"),
        (["float32", "float"], "unknown dtypes: float;"),
        ([""], "known dtypes are uint8"),
    ],
)
def test_other_names_are_refused(given_names, words):
    with pytest.raises(ValueError, match=words):
        DtypeSet.of(given_names)
