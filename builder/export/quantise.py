"""Quantises models for QNNPACK: dynamic or static, per tensor or channel, by eager mode or FX."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.ao.quantization as ao
from torch import nn
from torch.ao.nn.quantized.dynamic import Linear
from torch.ao.quantization import QConfigMapping, get_default_qconfig_mapping
from torch.ao.quantization.observer import (
    HistogramObserver,
    default_per_channel_weight_observer,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from builder.errors import Hint, ModelError, Run, ToolchainError, Use
from builder.export.compare import run_eager
from builder.export.error_texts import describe_exception
from builder.export.request import Flow, Method, Quantisation
from builder.export.samples import Sample
from builder.export.transformers import switch_fast_paths_off
from builder.export.values import to_call
from builder.system.progress import Progress

ENGINE = "qnnpack"
"""The quantised engine of the mobile runtime; FBGEMM is the engine for servers."""
_WITHOUT_REDUCED_RANGE = 3
"""Version of dynamic Linear layers that do not use the reduced range, which only FBGEMM has; with
later versions QNNPACK warns in every call (torch/ao/nn/quantized/dynamic/modules/linear.py)."""


@contextmanager
def qnnpack(*, required: bool = True) -> Iterator[None]:
    """Makes QNNPACK the quantised engine inside the block; weights are packed for one engine.

    Raises:
        ToolchainError: QNNPACK is required, but the installed torch lacks it.
    """
    quantized = torch.backends.quantized
    supported = ENGINE in quantized.supported_engines
    if required and not supported:
        raise ToolchainError(
            f"torch {torch.__version__} cannot quantise for mobile: it is built without QNNPACK "
            f"(it has {', '.join(quantized.supported_engines)})",
            hint="a torch for x86_64 or arm64 that PyTorch or Debian built has it: export in a "
            "virtual environment of its own with such a torch, or leave the quantisation out",
        )
    # The engine is global in torch, so it is put back.
    before = quantized.engine
    if supported:
        quantized.engine = ENGINE
    try:
        yield
    finally:
        quantized.engine = before


def quantise(
    module: torch.nn.Module, wanted: Quantisation, samples: Sequence[Sample], progress: Progress
) -> torch.nn.Module:
    """Returns a quantised copy of `module`; call this function and the copy inside `qnnpack()`.

    Args:
        module: a module with floating-point weights, in eval mode.
        wanted: how to quantise.
        samples: inputs for observing the ranges of activations; FX's tracer also uses the first.
        progress: is informed of each step.

    Raises:
        ModelError: PyTorch cannot quantise the module this way, or a sample does not fit.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            "a TorchScript model cannot be quantised",
            hint=Hint("quantise the Python module: ", Run("export", ("package.module:factory",))),
        )
    progress.step(f"Quantising: {wanted.method}, {wanted.flow}")
    # The original is compared with the copy later, so it stays as it is.
    twin = copy.deepcopy(module)
    switch_fast_paths_off(twin)
    eager = _static_eager if wanted.method is Method.STATIC else _dynamic_eager
    make = _fx if wanted.flow is Flow.FX else eager
    try:
        quantised = make(twin, wanted, samples, progress)
    except ModelError:
        raise
    except Exception as error:  # the user's forward() runs in it
        other = Flow.EAGER if wanted.flow is Flow.FX else Flow.FX
        raise ModelError(
            f"the model cannot be quantised ({wanted.method}, {wanted.flow}): "
            f"{describe_exception(error)}",
            hint=Hint(
                *("try ", Use("quantisation.flow", other), ", or "),
                Use("quantisation.method", Method.DYNAMIC),
            ),
        ) from error
    # torch leaves out what it cannot quantise, without an error.
    if not _is_quantised(quantised):
        raise ModelError(
            f"nothing in the model can be quantised ({wanted.method}, {wanted.flow})",
            hint=Hint(
                "dynamic quantises Linear, LSTM and GRU; static quantises convolutions too. FX "
                "does not look into layers of torch.nn such as Transformers: try ",
                Use("quantisation.flow", Flow.EAGER),
            ),
        )
    return quantised


def _dynamic_eager(
    twin: torch.nn.Module, wanted: Quantisation, samples: Sequence[Sample], progress: Progress
) -> torch.nn.Module:
    del samples, progress

    quantised: torch.nn.Module = ao.quantize_dynamic(twin, _dynamic_configs(wanted))
    for part in quantised.modules():
        if isinstance(part, Linear):
            part.version = _WITHOUT_REDUCED_RANGE
    return quantised


def _dynamic_configs(wanted: Quantisation) -> dict[Any, Any]:
    linear = ao.per_channel_dynamic_qconfig if wanted.per_channel else ao.default_dynamic_qconfig
    recurrent = (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
    return {nn.Linear: linear} | dict.fromkeys(recurrent, ao.default_dynamic_qconfig)


def _static_eager(
    twin: torch.nn.Module, wanted: Quantisation, samples: Sequence[Sample], progress: Progress
) -> torch.nn.Module:
    if not any(isinstance(m, ao.QuantStub | ao.QuantWrapper) for m in twin.modules()):
        raise ModelError(
            "the model has no QuantStub, which marks where values become quantised; static "
            "quantisation in eager mode needs it",
            hint=Hint("try ", Use("quantisation.flow", Flow.FX), ", which finds the places itself"),
        )
    # torchvision's convention for quantisable models: layers are fused before they are observed.
    if callable(fuse := getattr(twin, "fuse_model", None)):
        fuse()
    twin.qconfig = _static_config(wanted)
    # It is a copy already.
    ao.prepare(twin, inplace=True)
    _calibrate(twin, samples, progress)
    quantised: torch.nn.Module = ao.convert(twin)
    return quantised


def _fx(
    twin: torch.nn.Module, wanted: Quantisation, samples: Sequence[Sample], progress: Progress
) -> torch.nn.Module:
    if wanted.method is Method.STATIC:
        configs = _static_mapping(wanted)
    else:
        configs = QConfigMapping()
        for kind, config in _dynamic_configs(wanted).items():
            configs.set_object_type(kind, config)
    arguments, named = to_call(samples[0])
    prepared = prepare_fx(twin, configs, (*arguments, *named.values()))
    if wanted.method is Method.STATIC:
        _calibrate(prepared, samples, progress)
    quantised: torch.nn.Module = convert_fx(prepared)
    return quantised


def _static_config(wanted: Quantisation) -> Any:  # noqa: ANN401 - torch has no types here

    if not wanted.per_channel:
        return ao.get_default_qconfig(ENGINE)
    return ao.QConfig(
        # The reduced range is for FBGEMM on old CPUs; QNNPACK uses all 8 bits.
        activation=HistogramObserver.with_args(reduce_range=False),
        weight=default_per_channel_weight_observer,
    )


def _static_mapping(wanted: Quantisation) -> Any:  # noqa: ANN401

    mapping = get_default_qconfig_mapping(ENGINE)
    return mapping.set_global(_static_config(wanted)) if wanted.per_channel else mapping


def _calibrate(module: torch.nn.Module, samples: Sequence[Sample], progress: Progress) -> None:
    for index, sample in enumerate(samples, start=1):
        run_eager(module, sample)
        progress.advance(index, len(samples), "calibration")


def _is_quantised(module: torch.nn.Module) -> bool:
    kinds: Callable[[object], str] = lambda part: type(part).__module__  # noqa: E731
    return any(".quantized" in kinds(part) for part in module.modules())
