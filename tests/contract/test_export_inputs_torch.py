"""What `builder export` accepts as inputs besides tensors and numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest

from builder.cli.hints import show_hint
from builder.core.arrays import to_array
from builder.core.nesting import MethodInputs, list_arguments, parse_input
from builder.core.tensors import ReferenceCase
from builder.errors import BuilderError, ConfigurationError, ModelError
from builder.export.request import Capture, ExportRequest, ExportResult, Optimisation
from builder.models.read import read_model
from builder.system.progress import Silent
from builder.system.reference_cases import read_reference

pytestmark = pytest.mark.torch
PLAIN = Optimisation(enabled=False)

NETS = """
from typing import Dict, List, Optional
import torch
from torch import nn

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))
    def forward(self, words: List[str], end: str, more: Optional[Dict[str, str]] = None):
        x = self.w * len(words)
        for word in words:
            x = x * 2 + len(word)
        if more is not None:
            x = x + ord(more["key"])
        return x - ord(end)

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(8, 4)
    def forward(self, ids, past: Optional[torch.Tensor] = None, scale: float = 2.0,
                mask: Optional[torch.Tensor] = None):
        x = self.e(ids) * scale
        if mask is not None:
            x = x * mask.unsqueeze(-1)
        if past is not None:
            x = x + past
        return x.mean(1)
    def half(self, ids):
        return ids / 2

class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2))
    def forward(self):
        return self.w + 1

class Defaults(Table):
    def forward(self, times: int = 3, more: Optional[torch.Tensor] = None):
        return self.w * times if more is None else more

class Wants(Table):
    def forward(self, x: Optional[torch.Tensor] = None):
        assert x is not None, "give me x"
        return x

class Passes(Table):
    def forward(self, *inputs):
        return self.w

class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)
    @torch.jit.export
    def decode(self, z, n: int = 1, name: str = "a"):
        return z.repeat(n, 1) + len(name)
    @torch.jit.export
    def initial(self):
        return [torch.zeros(1, 3), torch.zeros(1, 3)]
    @torch.jit.export
    def name(self, x) -> str:
        return "a coder"
    @torch.jit.export
    def broken(self):
        return torch.zeros(1) / 0 * 0
    def pair(self, x, y):
        return x - y
    def forward(self, x):
        return self.l(x) + 1

def coder():
    return Coder().eval()

class Options(Table):
    def forward(self, x, scale=None, **options):
        return self.w * x

def options():
    return Options().eval()

def table():
    return Table().eval()

def defaults():
    return Defaults().eval()

def wants():
    return Wants().eval()

def passes():
    return Passes().eval()

def words():
    return Words().eval()

def encoder():
    return Encoder().eval()

def loader():
    for word in ("a", "bc"):
        yield [word, word], "z", {"key": word[0]}

def tokenizer():
    yield {"mask": torch.ones(1, 2, dtype=torch.long), "ids": torch.tensor([[1, 2]]), "labels": 3}

def bad_loader():
    yield ["a", "b\\0c"], "z"
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    (folder / "input_nets.py").write_text(NETS)
    return folder


@pytest.fixture
def request_(folder: Path, tmp_path: Path) -> ExportRequest:
    return ExportRequest(
        source="input_nets:encoder",
        output=tmp_path / "m.ptl",
        folder=folder,
        capture=Capture.SCRIPT,
    )


def of(request: ExportRequest, name: str, *texts: str, **changes: object) -> ExportRequest:
    inputs = tuple(map(parse_input, texts))
    return replace(request, source=f"input_nets:{name}", inputs=inputs, **changes)


def export(request: ExportRequest) -> ExportResult:
    from builder.api.exports import export

    result = export(request, progress=Silent())
    assert result.failure is None
    return result


def fail(request: ExportRequest, error: type[BuilderError], *words: str) -> None:
    request = replace(request, output=request.output.with_name("refused.ptl"))
    with pytest.raises(error) as caught:
        export(request)
    text = f"{caught.value.message} {show_hint(caught.value.hint or '', 'export')}"
    assert all(word in text for word in words), text
    assert not request.output.exists()


def values(result: ExportResult) -> list[object]:
    return [to_array(tensor).tolist() for tensor in read_reference(result.reference).outputs]


def test_strings_reach_the_model_and_the_reference_case(request_: ExportRequest) -> None:
    result = export(of(request_, "words", '["hello", ""]', "'z'"))
    assert values(result) == [[(2 * 2 + 5) * 2 - ord("z")] * 2]
    case = read_reference(result.reference)
    assert case.inputs == ()
    assert str(list_arguments(case)[1]) == "'z'"
    assert result.inputs == list_arguments(case)
    fail(of(request_, "words", "'a'", "'b'"), ConfigurationError, "words, is str[], but 'a'")


def test_a_lite_file_is_compared_with_the_strings_of_its_case(request_: ExportRequest) -> None:
    first = export(of(request_, "words", "['a']", "'b'", "{'key': 'c'}"))
    again = replace(
        request_,
        source=str(request_.output),
        output=request_.output.with_name("again.ptl"),
        capture=Capture.AUTO,
    )
    assert values(export(again)) == values(first)


def test_none_stands_for_what_is_left_out(request_: ExportRequest) -> None:
    result = export(of(request_, "encoder", "int64[1,3]", "None", "1", "int64[1,3]"))
    assert [str(one) for one in result.inputs] == ["int64[1,3]", "None", "1", "int64[1,3]"]
    assert [str(t.spec) for t in read_reference(result.reference).inputs] == [
        *("int64[1,3]", "int64[]", "int64[1,3]")
    ]
    fail(of(request_, "encoder", "None"), BuilderError, "does not run on None")


def test_loaders_give_strings(request_: ExportRequest) -> None:
    result = export(of(request_, "words", calibrate="input_nets:loader"))
    assert [str(one) for one in result.inputs] == ["['a', 'a']", "'z'", "{'key': 'a'}"]
    lost = of(request_, "words", calibrate="input_nets:bad_loader")
    fail(lost, BuilderError, "input 0[1] is a string that no app can pass", "contains a zero")


NEEDS_NOTHING = [("table", [[2.0, 2.0]]), ("defaults", [[3.0, 3.0]])]


@pytest.mark.parametrize("capture", list(Capture))
@pytest.mark.parametrize(("name", "expected"), NEEDS_NOTHING)
def test_a_forward_that_needs_nothing(request_, name, expected, capture) -> None:
    from builder.export.programs import has_torch_export

    if capture is Capture.EXPORT and not has_torch_export():
        pytest.skip("this torch has no torch.export that builder can read")
    result = export(of(request_, name, capture=capture))
    assert (result.inputs, values(result)) == ((), expected)
    assert not any("other shapes" in remark for remark in result.remarks)
    again = replace(request_, output=request_.output.with_name("again.ptl"), capture=Capture.AUTO)
    result.reference.unlink()
    assert values(export(replace(again, source=str(request_.output)))) == expected


def test_a_torchscript_file_without_inputs(request_: ExportRequest, tmp_path: Path) -> None:
    import torch

    class Table(torch.nn.Module):
        def forward(self):
            return torch.ones(2)

    torch.jit.script(Table()).save(str(tmp_path / "table.pt"))
    request = replace(request_, source=str(tmp_path / "table.pt"), capture=Capture.AUTO)
    assert values(export(request)) == [[1.0, 1.0]]


def test_without_the_inputs_that_it_needs(request_: ExportRequest) -> None:
    fail(of(request_, "wants"), BuilderError, "does not run without inputs", "give me x", "--input")
    fail(of(request_, "passes"), ConfigurationError, "are unknown", "--input")


def keep(*texts: str) -> tuple[MethodInputs, ...]:
    return tuple(map(MethodInputs.parse, texts))


def test_methods_run_on_inputs_of_their_own(request_: ExportRequest) -> None:
    methods = keep("decode=float32[2,3], 2, 'abc'", "initial", "name")
    result = export(of(request_, "coder", "float32[2,3]", methods=methods))
    stages = {stage.name: stage for stage in result.stages}
    assert [stages[f"lite {name}()"].max_absolute for name in ("decode", "initial")] == [0, 0]
    assert "the output is a str" in stages["lite name()"].remark
    case = read_reference(result.reference)
    decode = case.find("decode")
    assert [str(one) for one in list_arguments(decode)] == ["float32[2,3]", "2", "'abc'"]
    expected = to_array(decode.inputs[0]).repeat(1, axis=0) + 3
    assert to_array(decode.outputs[0]).tolist() == [*expected.tolist(), *expected.tolist()]
    assert [len(case.find("initial").outputs), case.find("name")] == [2, None]

    again = request_.output.with_name("again.ptl")
    request = replace(request_, source=str(request_.output), capture=Capture.AUTO, output=again)
    second = export(request)
    assert [stage.name for stage in second.stages][-3:] == [
        *("lite decode()", "lite initial()", "lite")
    ]
    assert read_reference(second.reference).methods == case.methods


def test_methods_are_traced_on_inputs_of_their_own(request_: ExportRequest) -> None:
    methods = keep("pair=float32[4], float32[4]", "initial")
    request = of(request_, "coder", "float32[2,3]", methods=methods, capture=Capture.AUTO)
    result = export(request)
    assert result.capture == "trace"
    assert [call.method for call in read_reference(result.reference).methods] == ["pair", "initial"]
    fail(replace(request, capture=Capture.EXPORT), ModelError, "captures forward only", "--via")


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("decode=[1]", ("decode(): the model does not run on [1]", "--method")),
        ("decode=", ("decode(): the model does not run without inputs", "--method")),
        ("decode=float32[2], 1, ['a']", ("name, is str, but ['a']", "--method")),
        ("forward=float32[2,3]", ("forward is kept anyway", "--input")),
        ("absent=1", ("no method 'absent'",)),
        ("broken", ("NaN",)),
    ],
)
def test_methods_with_inputs_that_do_not_fit(request_, method, words) -> None:
    fail(of(request_, "coder", "float32[2,3]", methods=keep(method)), BuilderError, *words)
    fail(
        of(request_, "coder", "float32[2,3]", methods=keep("decode", "decode")),
        ConfigurationError,
        "decode is named twice",
    )


@pytest.mark.parametrize("capture", list(Capture))
def test_inputs_with_names(request_: ExportRequest, capture: Capture) -> None:
    from builder.export.programs import has_torch_export

    if capture is Capture.EXPORT and not has_torch_export():
        pytest.skip("this torch has no torch.export that builder can read")
    named = of(request_, "encoder", "mask=int64[1,6]", "ids=int64[1,6]", capture=capture)
    result = export(named)
    case = read_reference(result.reference)
    signature = next(one for one in read_model(request_.output).signatures if one.is_public)
    taken = [argument.name for argument in signature.arguments]
    scripted = capture is Capture.SCRIPT
    between = ["None", "2.0"] if scripted else []
    assert list(map(str, result.inputs)) == ["int64[1,6]", *between, "int64[1,6]"]
    assert set(taken) == ({"ids", "past", "scale", "mask"} if scripted else {"ids", "mask"})
    # The mask was drawn first; it multiplies, so that a swap would show.
    plain = of(request_, "encoder", "int64[1,6]", "None", "2.0", "int64[1,6]")
    assert len(to_array(case.outputs[0]).ravel()) == 4
    assert values(export(plain)) != values_of(case)


def values_of(case: ReferenceCase) -> list[object]:
    return [to_array(tensor).tolist() for tensor in case.outputs]


@pytest.mark.parametrize("capture", [Capture.AUTO, Capture.SCRIPT])
def test_names_that_the_model_lacks(request_: ExportRequest, capture: Capture) -> None:
    request = of(request_, "encoder", "int64[1,6]", "maks=int64[1,6]", capture=capture)
    fail(
        request, ConfigurationError, "no argument 'maks'", "mask=None", "--input 'mask=int64[1,6]'"
    )
    late = of(request_, "encoder", "ids=int64[1,6]", "None", capture=capture)
    fail(late, ConfigurationError, "None has no name")


def test_names_that_options_swallow_are_told(request_: ExportRequest) -> None:
    request = of(request_, "options", "x=float32[2]", "skale=float32[2]", capture=Capture.AUTO)
    remarks = "".join(export(request).remarks)
    assert "names no argument 'skale'" in remarks
    assert "(x, scale=None, **options)" in remarks


def test_a_torchscript_file_takes_names(request_: ExportRequest, tmp_path: Path) -> None:
    import torch

    class Scaled(torch.nn.Module):
        def forward(self, x, by: float = 2.0, more: Optional[torch.Tensor] = None):  # noqa: UP045
            return x * by if more is None else x + more

    torch.jit.script(Scaled()).save(str(tmp_path / "scaled.pt"))
    request = replace(
        request_, source=str(tmp_path / "scaled.pt"), capture=Capture.AUTO, optimisation=PLAIN
    )
    inputs = tuple(map(parse_input, ("more=float32[2]", "x=float32[2]")))
    result = export(replace(request, inputs=inputs))
    assert list(map(str, result.inputs)) == ["float32[2]", "2.0", "float32[2]"]
    wrong = replace(request, inputs=(*inputs[1:], parse_input("mor=float32[2]")))
    fail(
        wrong, ConfigurationError, "forward has no argument 'mor'; it takes (x, by, more)", "more="
    )


def test_none_can_be_traced(request_: ExportRequest) -> None:
    inputs = ("int64[1,6]", "None", "mask=int64[1,6]")
    result = export(of(request_, "encoder", *inputs, capture=Capture.TRACE))
    assert list(map(str, result.inputs)) == ["int64[1,6]", "int64[1,6]"]
    kept = of(request_, "encoder", *inputs, capture=Capture.TRACE, methods=keep("half"))
    fail(kept, ModelError, "keeps no other methods where inputs have names", "--via script")


def test_methods_and_loaders_have_names_too(request_: ExportRequest) -> None:
    methods = keep("decode=float32[2,3], name='abc'")
    request = of(request_, "coder", "x=float32[2,3]", methods=methods)
    case = read_reference(export(request).reference)
    assert list(map(str, list_arguments(case.find("decode")))) == ["float32[2,3]", "1", "'abc'"]
    fail(
        replace(request, methods=keep("decode=y=1")),
        ConfigurationError,
        "decode has no argument 'y'",
    )
    pair = of(request_, "coder", "float32[2,3]", methods=keep("pair=y=float32[4], x=float32[4]"))
    call = read_reference(export(replace(pair, capture=Capture.AUTO)).reference).find("pair")
    expected = to_array(call.inputs[0]) - to_array(call.inputs[1])
    assert to_array(call.outputs[0]).tolist() == expected.tolist()
    loaded = of(request_, "encoder", "ids=int64[1,2]", "mask=int64[1,2]")
    result = export(replace(loaded, calibrate="input_nets:tokenizer"))
    assert to_array(read_reference(result.reference).inputs[0]).tolist() == [[1, 2]]


def test_a_lite_file_takes_names(request_: ExportRequest) -> None:
    export(of(request_, "encoder", "int64[1,3]", "None", "1", "int64[1,3]"))
    again = replace(
        request_,
        source=str(request_.output),
        output=request_.output.with_name("again.ptl"),
        capture=Capture.AUTO,
        inputs=tuple(map(parse_input, ("int64[1,3]", "mask=int64[1,3]"))),
    )
    result = export(again)
    assert list(map(str, result.inputs)) == ["int64[1,3]", "None", "2.0", "int64[1,3]"]
    fail(replace(again, inputs=(parse_input("idx=int64[1,3]"),)), ConfigurationError, "idx is no")
