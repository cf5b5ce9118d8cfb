"""Test modules that return `len(...)` are made to return what they count."""

import io

import pytest

torch = pytest.importorskip("torch")

from upstream_models.returns import find_fit, fit_operands, leave_out, open_module, operand_kinds  # noqa: E402

pytestmark = pytest.mark.torch


class Part(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


class Counting(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = Part()

    def forward(self):
        return self.count()

    def count(self):
        x = torch.ones(2)
        self.part(x)
        return len((x + 1, "text", torch.complex(x, x), x.sum()))


def scripted():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Counting()), buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


def test_operands_and_outputs_of_submodules_are_returned():
    assert scripted()() == 4
    module = scripted()
    open_module(module)
    added, text, made, total, twice = module()
    assert (added.tolist(), text, total.item(), twice.tolist()) == ([2, 2], "text", 2, [2, 2])
    assert made.is_complex()


def test_results_are_made_to_fit_the_c_api():
    module = scripted()
    open_module(module)
    fits = [find_fit(value) for value in module()]
    assert fits == ["", None, "aten::view_as_real", "", ""]
    module = scripted()
    open_module(module)
    fit_operands(module, fits)
    assert [value.shape for value in module()] == [(2,), (2, 2), (), (2,)]


def test_an_operator_can_be_left_out():
    module = scripted()
    open_module(module)
    assert operand_kinds(module)[3] == "aten::sum"
    leave_out(module, "aten::sum")
    assert len(module()) == 4
    assert "aten::sum" not in str(module.count.graph)


@pytest.mark.parametrize(
    ("value", "fit"),
    [
        (3, ""),
        ([1, 2], ""),
        ("a", None),
        (["a"], None),
        (torch.ones(1, dtype=torch.bfloat16), None),
        (torch.ones(1).to_sparse(), None),
        (torch.quantize_per_tensor(torch.ones(1), 1.0, 0, torch.quint8), "aten::dequantize"),
    ],
)
def test_what_fits(value, fit):
    assert find_fit(value) == fit
