"""docs/reference/python-api.md and `builder.api` name the same things."""

import re
from pathlib import Path

import pytest
from documents import ROOT, read_blocks

from builder import api, errors
from builder.core.tensors import TensorSpec
from builder.verify import verifier
from python_api import list_functions, list_names

PAGE = (ROOT / "docs/reference/python-api.md").read_text()
SAMPLE, WITHOUT_REFERENCE = (
    block.text for block in read_blocks("python", page="docs/reference/python-api.md")
)
HEADINGS = set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE))


def test_every_public_name_has_a_section():
    assert set(dir(api)) == HEADINGS


@pytest.mark.parametrize("name", list_functions())
def test_types_in_signatures_are_public_and_on_the_page(name):
    annotations = list_functions()[name].__annotations__.values()
    named = set().union(*(list_names(str(one)) for one in annotations))
    assert named <= set(dir(api))
    assert named <= HEADINGS


def test_names_in_annotations_are_found():
    assert list_names("Mapping[str, Annotated[Text[Budget] | None, Setting(least=1)]]") == {
        "Budget"
    }


def test_every_error_class_is_public():
    own = {name: one for name, one in vars(errors).items() if isinstance(one, type)}
    kinds = {name for name, one in own.items() if one.__module__ == errors.__name__}
    assert {"VerificationError", "ExitCode"} <= kinds <= set(dir(api))


def test_samples_use_what_there_is():
    used = set(re.findall(r"\bapi\.(\w+)", SAMPLE + WITHOUT_REFERENCE))
    assert used > {"build", "export", "check", "verify", "size", "parse_input"}
    assert used <= set(dir(api))


def test_types_that_the_page_names_are_public():
    """A name in backticks that looks like a class is one of `builder.api`, or has a reason."""
    text = PAGE.partition("<!-- names: begin -->")[0]
    assert set(re.findall(r"`([A-Z][a-z]\w+)`", text)) <= set(dir(api))


def test_the_sample_without_a_reference_case_describes_its_inputs(monkeypatch, tmp_path):
    """The request is right; tests/native/test_python_api.py runs it on a runtime."""
    requests = []

    def capture(request, info, **_):
        requests.append(request)
        return api.VerifyReport(model=info.name, reference="none", outputs=(), seconds=0.0)

    monkeypatch.setattr(verifier, "verify_model", capture)
    monkeypatch.chdir(tmp_path)
    model = ROOT / "tests/data/models/conv.ptl"
    Path("mobilenet_v2.ptl").write_bytes(model.read_bytes())
    exec(WITHOUT_REFERENCE, {})
    assert [request.inputs for request in requests] == [
        (TensorSpec(api.DType.FLOAT32, (1, 3, 224, 224)),)
    ]
