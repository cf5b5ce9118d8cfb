import pytest

from tables import replace_part

MARKED = "a\n<!-- one: begin -->\nold<!-- one: end -->\nb\n"


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    expected = "a\n<!-- one: begin -->\nnew\n<!-- one: end -->\nb\n"
    assert replace_part(MARKED, "one", "new\n") == expected


@pytest.mark.parametrize("document", ["a\n", MARKED + MARKED, MARKED.partition("old")[0]])
def test_a_document_without_its_marks_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="unpack"):
        replace_part(document, "one", "new")
