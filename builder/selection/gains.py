"""Finds models that `builder export` would make faster, by the operators that they call."""

from __future__ import annotations

from builder.core.model_facts import OperatorList

_LAYERS = frozenset(
    ("aten::_convolution", "aten::conv1d", "aten::conv2d", "aten::conv_transpose2d", "aten::linear")
)
"""Layers that XNNPACK has too; exported models call it instead."""
_NORM = "aten::batch_norm"
_PACKED = "prepacked::conv2d_clamp_run"
_CONVERSION = "aten::contiguous"
"""Models whose images stay in NHWC between convolutions convert them, at least at their ends."""


def find_gains(listed: OperatorList) -> tuple[tuple[str, str], ...]:
    """Returns the names of models that would gain from an export, each with the reason.

    Only the names of operators are looked at: the weights of a layer may still be of a kind that
    XNNPACK does not take. The export itself says when a file has nothing to gain.
    """
    called: dict[str, set[str]] = {}
    for operator in listed.operators:
        for model in listed.operators.sources(operator):
            called.setdefault(model, set()).add(operator.name)
    # One reason is enough for a user to try an export, so the strongest one is given.
    found = ((model, _explain(names)) for model, names in sorted(called.items()))
    return tuple((model, why) for model, why in found if why)


def _explain(called: set[str]) -> str:
    if layers := sorted(called & _LAYERS):
        return f"{' and '.join(layers)} can be layers of XNNPACK"
    if _NORM in called:
        return f"{_NORM} can become a part of the layer in front of it"
    if _PACKED in called and _CONVERSION not in called:
        return "its images are converted around each convolution"
    return ""
