"""The child process of `interpreter`, which runs one model file after the other.

It reads jobs from standard input and writes answers to the original standard output; what a model
prints goes to standard error. Before code of a model runs, the process sets the limits of the job
and, if the job says so, confines itself with the boundary of `builder.system.sandbox`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from builder.core.nesting import Group, InputSpec, parse_input
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import BuilderError, VerificationError
from builder.export.error_texts import describe_exception
from builder.system.frames import BrokenFrameError, Frame, read_frame, write_frame
from builder.system.sandbox import confine, end_with_parent, limit

_ANY_SIZE = 1 << 62
"""No limit in practice: jobs come from builder itself, and a list of numbers may be long."""
_LONGEST = 10_000
"""Largest number of characters of an error message."""
_TOO_LARGE = ("can't allocate memory", "bad_alloc", "not enough memory")
"""Parts of the messages of torch and C++ for missing memory (c10/core/impl/alloc_cpu.cpp)."""


def main() -> None:
    """Answers jobs until there are no more."""
    end_with_parent()
    # Keep the pipe for answers; whatever a model prints must not become a part of one.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            job = read_frame(sys.stdin.buffer, limit=_ANY_SIZE, header_limit=_ANY_SIZE)
        except BrokenFrameError:
            return
        write_frame(answers, _answer(job))


def _answer(job: Frame) -> Frame:
    try:
        _prepare(job.header)
        return _TASKS[job.header["task"]](job)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is an answer
        return _describe_failure(error)


def _describe_failure(error: Exception) -> Frame:
    kind, message, hint = VerificationError.__name__, describe_exception(error), None
    if isinstance(error, BuilderError):
        kind, message, hint = type(error).__name__, error.message, error.hint
    if _is_for_memory(error) or _is_for_memory(error.__cause__):
        kind = MemoryError.__name__
    return Frame(header={"error": kind, "message": message[:_LONGEST], "hint": hint})


def _is_for_memory(error: BaseException | None) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error) for text in _TOO_LARGE)


def _prepare(header: Mapping[str, Any]) -> None:
    """Imports all that torch needs, then takes away what the model's code must not use."""
    from builder.export.capabilities import probe_torch

    probe_torch()
    import torch
    from torch.jit import mobile

    del mobile  # imported now: it is not known whether its files can be read later
    torch.set_num_threads(1)
    if "qnnpack" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "qnnpack"
    for library in header["libraries"]:
        torch.ops.load_library(library)
    if header["torchvision"]:
        from builder.export.capabilities import import_torchvision

        import_torchvision()
    limit(seconds=header["seconds"], memory=header["memory"], for_ever=header["confined"])
    if header["confined"]:
        confine()


def _run(job: Frame) -> Frame:
    """Runs a method of a lite file on every sample, and measures its time with the first one."""
    import functools

    from builder.export.compare import Sample, call_lite, load_lite, time_call

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
    outputs = [call_lite(call, sample) for sample in samples]
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
    from builder.export.operators import convert_torchscript

    return Frame(header=_about_torch(), blobs=[convert_torchscript(job.blobs[0])])


def _try(job: Frame) -> Frame:
    """Converts TorchScript without returning the result; some files crash torch only on saving."""
    return Frame(header=_convert(job).header)


def _about_torch() -> dict[str, Any]:
    import torch

    return {"torch": str(torch.__version__)}


def describe_tensors(tensors: Iterable[Tensor]) -> list[tuple[str, tuple[int, ...]]]:
    """Returns the dtype and shape of each tensor, for a header; blobs carry their bytes."""
    return [(str(tensor.spec.dtype), tensor.spec.shape) for tensor in tensors]


def _to_tensor(dtype: str, shape: Iterable[int], data: bytes) -> Tensor:
    return Tensor(TensorSpec(DType(dtype), tuple(shape)), data)


def _parse_specs(structure: str) -> tuple[InputSpec, ...]:
    spec = parse_input(structure, most=_ANY_SIZE)
    assert isinstance(spec, Group)
    return spec.items


_TASKS: dict[str, Callable[[Frame], Frame]] = {"convert": _convert, "run": _run, "try": _try}
