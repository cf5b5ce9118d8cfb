import pytest

from builder.core.counts import number_of


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "no rules"), (1, "1 rule"), (2, "2 rules"), (12345, "12,345 rules")],
)
def test_the_noun_agrees_with_the_number(number, text):
    assert number_of(number, "rule") == text


def test_a_plural_that_takes_no_s_is_given():
    assert number_of(1, "custom class", "custom classes") == "1 custom class"
    assert number_of(2, "custom class", "custom classes") == "2 custom classes"
