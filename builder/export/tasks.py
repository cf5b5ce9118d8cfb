"""The jobs of `worker`, which need torch.

Everything that a job imports is imported with this module, before the process is confined.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from builder.core.nesting import Group, InputSpec, parse_input
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.export.capabilities import import_torchvision
from builder.export.compare import call_lite, load_lite, time_call
from builder.export.convert import convert_torchscript
from builder.export.samples import Sample, describe_tensors
from builder.system.frames import Frame
from builder.system.sandbox import confine, limit

_ANY_SIZE = 1 << 62
"""No limit in practice: jobs come from builder itself, and a list of numbers may be long."""


def answer(job: Frame) -> Frame:
    """Returns the answer to a job; whatever a model raises is passed on."""
    _prepare(job.header)
    return _TASKS[job.header["task"]](job)


def _prepare(header: Mapping[str, Any]) -> None:
    """Imports what the model needs, then takes away what the model's code must not use."""
    # One thread, for the reasons of `compare.one_thread`, and because a limit counts CPU seconds.
    torch.set_num_threads(1)
    if "qnnpack" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "qnnpack"
    # Before the limits: code of the user's own libraries is trusted.
    for library in header["libraries"]:
        torch.ops.load_library(library)
    if header["torchvision"]:
        import_torchvision()
    limit(seconds=header["seconds"], memory=header["memory"], for_ever=header["confined"])
    if header["confined"]:
        confine()


def _run(job: Frame) -> Frame:
    """Runs a method of a lite file on every sample, and measures its time with the first one."""
    content, *blobs = job.blobs
    module = load_lite(content)
    name = job.header["method"]
    call = module if name == "forward" else functools.partial(module.run_method, name)
    rest = iter(blobs)
    samples = [
        Sample(
            specs=_parse_specs(given["structure"]),
            leaves=tuple(_to_tensor(dtype, shape, next(rest)) for dtype, shape in given["leaves"]),
            channels_last=given["channels_last"],
        )
        for given in job.header["samples"]
    ]
    outputs = [call_lite(call, sample, seed=job.header["seed"]) for sample in samples]
    seconds = time_call(call, samples[0]) if job.header["timed"] else 0.0
    return Frame(
        header={
            **_about_torch(),
            "outputs": [describe_tensors(tensors) for tensors in outputs],
            "seconds": seconds,
        },
        blobs=[tensor.data for tensors in outputs for tensor in tensors],
    )


def _convert(job: Frame) -> Frame:
    """Converts TorchScript to a lite file; loading runs the `__setstate__` of its classes."""
    return Frame(header=_about_torch(), blobs=[convert_torchscript(job.blobs[0])])


def _try(job: Frame) -> Frame:
    """Converts TorchScript without returning the result; some files crash torch only on saving."""
    return Frame(header=_convert(job).header)


def _about_torch() -> dict[str, Any]:
    return {"torch": str(torch.__version__)}


def _to_tensor(dtype: str, shape: Iterable[int], data: bytes) -> Tensor:
    return Tensor(TensorSpec(DType(dtype), tuple(shape)), data)


def _parse_specs(structure: str) -> tuple[InputSpec, ...]:
    spec = parse_input(structure, most=_ANY_SIZE)
    assert isinstance(spec, Group)
    return spec.items


_TASKS: dict[str, Callable[[Frame], Frame]] = {"convert": _convert, "run": _run, "try": _try}
