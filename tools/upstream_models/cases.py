"""Test modules as files, with what torch makes of them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.jit.mobile import _load_for_lite_interpreter

from builder.core.tensors import Tensor
from builder.export.values import flatten_outputs
from upstream_models.comparison import Case, Certainty
from upstream_models.methods import METHODS, NOT_CARRIED, Call
from upstream_models.modules import Module
from upstream_models.returns import find_fit, fit_operands, leave_out, open_module, operand_kinds

SEED = 20_260
"""Of the numbers that modules draw; the runtime gets the same."""
OTHER_SEED = 4
_SPARSE_ONLY = ("aten::dense_dim", "aten::is_coalesced", "aten::coalesce")
"""PyTorch 1.13 refuses them for ordinary tensors, newer ones do not."""
_UNINITIALISED = re.compile(r"aten::(new_)?empty(_like|_strided)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A test module on disk."""

    file: Path
    """As upstream saves it."""
    cases: tuple[Case, ...]
    left_out: tuple[str, ...]
    """What is not compared, and why."""
    notes: tuple[str, ...] = ()


def export(module: Module, folder: Path) -> Exported:
    """Writes the module as upstream does, and again opened; runs both with torch.

    Quantised layers are run by QNNPACK, the engine of a runtime, where torch's can run them.

    Raises:
        Exception: whatever torch raises when it cannot script, save or run the module.
    """
    scripted = module.script()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{module.name}.ptl"
    scripted._save_for_lite_interpreter(str(file))
    usual = torch.backends.quantized.engine
    try:
        torch.backends.quantized.engine = "qnnpack"
        return _export(module, scripted, file)
    except RuntimeError:
        torch.backends.quantized.engine = usual
        exported = _export(module, scripted, file)
        return replace(exported, notes=(*exported.notes, f"compared with torch's {usual} engine"))
    finally:
        torch.backends.quantized.engine = usual


def _export(module: Module, scripted: torch.jit.ScriptModule, file: Path) -> Exported:
    if calls := METHODS.get(module.name):
        cases = tuple(_run(file, call) for call in calls)
        return Exported(file=file, cases=cases, left_out=NOT_CARRIED.get(module.name, ()))
    opened = file.with_suffix(".opened.ptl")
    content, kinds, left_out = _open(scripted)
    opened.write_bytes(content)
    forward = Call(method="forward")
    cases = tuple(_run(path, forward, kinds if path == opened else ()) for path in (file, opened))
    return Exported(file=file, cases=cases, left_out=left_out)


def _open(scripted: torch.jit.ScriptModule) -> tuple[bytes, list[str], tuple[str, ...]]:
    """Returns the opened lite file, where each operand comes from, and what was left out."""
    lacking: tuple[str, ...] = ()
    try:
        values = _load(_save(_opened(scripted, lacking))).forward()
    except NotImplementedError:
        lacking = _SPARSE_ONLY
        values = _load(_save(_opened(scripted, lacking))).forward()
    values = values if isinstance(values, tuple) else (values,)
    fits = [find_fit(value) for value in values]
    opened = _opened(scripted, lacking)
    kinds = operand_kinds(opened)
    fit_operands(opened, fits)
    left_out = [f"{operator} (torch {torch.__version__} cannot run it)" for operator in lacking]
    left_out += [_describe(v) for v, fit in zip(values, fits, strict=True) if fit is None]
    kept = [kind for kind, fit in zip(kinds, fits, strict=True) if fit is not None]
    return _save(opened), kept, tuple(left_out)


def _opened(scripted: torch.jit.ScriptModule, lacking: Sequence[str]) -> torch.jit.ScriptModule:
    # a copy each time: graphs are shared between modules, and kept from the first run on
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    buffer.seek(0)
    apart = torch.jit.load(buffer)
    open_module(apart)
    for operator in lacking:
        leave_out(apart, operator)
    return apart


def _run(file: Path, call: Call, kinds: Sequence[str] = ()) -> Case:
    """Runs one call three times: what differs for one seed is no result, for two seeds random."""
    first, again, other = (_answer(file, call, seed) for seed in (SEED, SEED, OTHER_SEED))
    certain = tuple(
        _certainty(kinds[owner] if kinds else "", leaf, once_more, elsewhere)
        for owner, (value, *others) in enumerate(zip(first, again, other, strict=True))
        for leaf, once_more, elsewhere in zip(*map(_leaves, (value, *others)), strict=False)
    )
    return Case(
        file=file,
        method=call.method,
        inputs=tuple(leaf for value in call.inputs for leaf in _leaves(_as_tensor(value))),
        outputs=tuple(leaf for value in first for leaf in _leaves(value)),
        certain=certain,
    )


def _certainty(kind: str, leaf: Tensor, again: Tensor, other: Tensor) -> Certainty:
    if _UNINITIALISED.fullmatch(kind) or leaf != again:
        return Certainty.SHAPE
    return Certainty.EXACT if leaf == other else Certainty.RANDOM


def _answer(file: Path, call: Call, seed: int) -> tuple[Any, ...]:
    module = _load(file.read_bytes())
    torch.manual_seed(seed)
    with torch.no_grad():
        value = module.run_method(call.method, *call.inputs)
    return value if isinstance(value, tuple) else (value,)


def _leaves(value: Any) -> tuple[Tensor, ...]:  # noqa: ANN401
    return () if value is None or value == [] else flatten_outputs(value)


def _as_tensor(value: Any) -> Any:  # noqa: ANN401
    return torch.tensor(value) if isinstance(value, list) else value


def _describe(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} tensor".removeprefix("torch.")
    return {"str": "string", "list": "list of strings"}.get(type(value).__name__, "object")


def _save(scripted: torch.jit.ScriptModule) -> bytes:
    content: bytes = scripted._save_to_buffer_for_lite_interpreter()
    return content


def _load(content: bytes) -> Any:  # noqa: ANN401
    return _load_for_lite_interpreter(io.BytesIO(content))
