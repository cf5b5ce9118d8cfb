"""Each error that docs/how-to/troubleshooting.md quotes is one that builder can give."""

import pytest
from documents import ROOT
from quoted_errors import is_in_code, list_quoted

PAGE = ROOT / "docs/how-to/troubleshooting.md"


@pytest.mark.parametrize("quoted", list_quoted(PAGE))
def test_a_quoted_error_is_in_the_code(quoted):
    assert is_in_code(quoted)


def test_the_page_has_many_errors():
    assert len(list_quoted(PAGE)) > 30


@pytest.mark.parametrize(
    "quoted",
    [
        "torch is not deinstalled",
        "there is no clang on the PATH",
        "this runtime lacks operators of the models: ...",
        "the runtime lacks ... for ...: ...",
    ],
)
def test_a_text_that_builder_does_not_have_is_noticed(quoted):
    assert not is_in_code(quoted)


def test_too_short_a_quotation_is_refused():
    with pytest.raises(AssertionError, match="too little"):
        is_in_code("error ...")
