"""torch's lite interpreter, and its loader of TorchScript, in a process of their own.

Both are C++ that a damaged file or inputs that do not fit can crash, and a model may loop for ever
or take all memory. So they run in a child (`worker`) with limits; a model that nobody vouches for
runs inside of `builder.system.sandbox` as well.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.core.nesting import Group, GroupKind
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import (
    BuilderError,
    ConfigurationError,
    ModelError,
    ToolchainError,
    VerificationError,
)
from builder.export.compare import Sample
from builder.export.worker import describe_tensors
from builder.system.children import MAX_ANSWER, ChildEndedError, Limits, PythonChild
from builder.system.frames import Frame
from builder.system.sandbox import check_boundary

_KINDS: Mapping[str, type[BuilderError]] = {
    kind.__name__: kind
    for kind in (ConfigurationError, ModelError, ToolchainError, VerificationError)
}
_LEAST_LITE, _GROWTH = 64 << 20, 4
"""Bytes of a lite file beyond a multiple of its TorchScript file that are more than any has."""
_WORKER = "builder.export.worker"
_MORE = "if it is slow or large and not wrong, --time-limit and --memory-limit give it more"
_LOADING, _RUNNING = "loading the TorchScript", "running the lite file"
_CRASHED = {
    _LOADING: "the file is damaged, or PyTorch has a fault there; save the model again from the "
    "code that makes it: builder export package.module:factory -o model.ptl",
    _RUNNING: "the file is damaged, its inputs do not fit, or PyTorch has a fault there; other "
    "inputs, --script or --no-optimize at the export may go another way",
}


class InterpreterEndedError(VerificationError):
    """The child crashed, or reached a limit, over a model; builder is fine."""

    def __init__(self, message: str, *, hint: str | None = None, by_limit: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.by_limit = by_limit
        """Whether it was a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteRun:
    """What a lite file gave."""

    outputs: tuple[tuple[Tensor, ...], ...]
    """Flattened, per sample."""
    seconds: float
    """Of the quickest call with the first sample; 0 if no time was asked for."""
    torch_version: str


class Interpreter:
    """Runs model files in a child, which is started when it is needed and kept for the next job.

    A confined one runs one model: the boundary cannot be lifted, and what the model left behind in
    the process must not meet another.
    """

    def __init__(self, limits: Limits | None = None, *, confined: bool) -> None:
        self._limits = limits or Limits()
        self._confined = confined
        self._child: PythonChild | None = None

    def start(self) -> None:
        """Starts the child, which needs a second or two to import torch.

        Raises:
            ToolchainError: it is to be confined, and this machine cannot.
        """
        if self._confined:
            check_boundary()
        if self._child is None or not self._child.is_alive:
            self.close()
            self._child = PythonChild(_WORKER)

    def set_limits(self, limits: Limits) -> None:
        """Changes the limits of the jobs that follow."""
        self._limits = limits

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def run(
        self,
        content: bytes,
        samples: Sequence[Sample],
        *,
        method: str = "forward",
        timed: bool = False,
    ) -> LiteRun:
        """Runs a method of a lite file on `samples`.

        Raises:
            InterpreterEndedError: torch crashed, or the model reached a limit.
            ToolchainError: torch is missing, or the child cannot be confined.
            VerificationError: torch cannot load or run the file.
        """
        given = [
            {
                "structure": str(Group(GroupKind.TUPLE, sample.specs)),
                "leaves": describe_tensors(sample.leaves),
                "channels_last": sample.channels_last,
            }
            for sample in samples
        ]
        leaves = [leaf.data for sample in samples for leaf in sample.leaves]
        answer = self._ask(
            {"task": "run", "method": method, "samples": given, "timed": timed},
            (content, *leaves),
            doing=_RUNNING,
        )
        return _parse_run(answer, len(samples))

    def convert(self, torchscript: bytes) -> bytes:
        """Returns the lite file of a TorchScript file; torch runs `__setstate__` of its classes.

        Raises:
            InterpreterEndedError, ToolchainError: as `run` does.
            ModelError: torch cannot load it, or cannot write its bytecode.
        """
        answer = self._ask(
            {"task": "convert"},
            (torchscript,),
            doing=_LOADING,
            limit=_LEAST_LITE + _GROWTH * len(torchscript),
        )
        if len(answer.blobs) != 1:
            raise _strange(answer)
        return answer.blobs[0]

    def try_loading(self, torchscript: bytes) -> None:
        """Loads a TorchScript file in the child and saves it: a crash or a loop is seen there.

        Raises:
            InterpreterEndedError: torch crashed over it, or it reached a limit.
        """
        try:
            self._ask({"task": "try"}, (torchscript,), doing=_LOADING)
        except InterpreterEndedError:
            raise
        except BuilderError:
            return  # whoever loads it for good says why it fails

    def _ask(
        self,
        header: dict[str, Any],
        blobs: tuple[bytes, ...],
        *,
        doing: str,
        limit: int = MAX_ANSWER,
    ) -> Frame:
        self.start()
        assert self._child is not None
        job = Frame(header={**header, **self._conditions()}, blobs=blobs)
        try:
            answer = self._child.ask(job, seconds=self._limits.seconds, limit=limit)
        except ChildEndedError as error:
            raise InterpreterEndedError(
                f"torch, {doing}, {error.message}",
                hint=_MORE if error.by_limit else _CRASHED[doing],
                by_limit=error.by_limit,
            ) from error
        finally:
            if self._confined:
                self.close()
        if "error" in answer.header:
            raise self._to_error(answer.header, doing)
        return answer

    def _conditions(self) -> dict[str, Any]:
        torch = sys.modules.get("torch")
        libraries = [] if torch is None else sorted(torch.ops.loaded_libraries)
        return {
            "confined": self._confined,
            "seconds": self._limits.seconds,
            "memory": self._limits.memory_bytes,
            "libraries": [] if self._confined else libraries,
            "torchvision": not self._confined and "torchvision" in sys.modules,
        }

    def _to_error(self, header: Mapping[str, Any], doing: str) -> BuilderError:
        if header["error"] == MemoryError.__name__:
            return InterpreterEndedError(
                f"torch, {doing}, took more memory than {self._limits.memory_text}",
                hint=_MORE,
                by_limit=True,
            )
        kind = _KINDS.get(str(header["error"]), VerificationError)
        hint = header.get("hint")
        return kind(_clean(header.get("message")), hint=_clean(hint) if hint else None)


def _parse_run(answer: Frame, samples: int) -> LiteRun:
    """Returns what an answer says; the process that gave it may have run anything."""
    try:
        return LiteRun(
            outputs=_parse_outputs(answer, samples),
            seconds=float(answer.header["seconds"]),
            torch_version=_clean(answer.header["torch"])[:80],
        )
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise _strange(answer) from error


def _parse_outputs(answer: Frame, samples: int) -> tuple[tuple[Tensor, ...], ...]:
    described = answer.header["outputs"]
    specs = [[_parse_spec(item) for item in outputs] for outputs in described]
    if len(specs) != samples or sum(map(len, specs)) != len(answer.blobs):
        raise ValueError("not an output per sample and blob")
    blobs = iter(answer.blobs)
    return tuple(tuple(_take(spec, next(blobs)) for spec in outputs) for outputs in specs)


def _take(spec: TensorSpec, data: bytes) -> Tensor:
    if len(data) != math.prod(spec.shape) * spec.dtype.itemsize:
        raise ValueError("a tensor of another length")
    return Tensor(spec, data)


def _parse_spec(item: Any) -> TensorSpec:  # noqa: ANN401 - JSON
    dtype, shape = item
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("not a shape")
    return TensorSpec(DType(dtype), tuple(shape))


def _clean(text: object) -> str:
    """Returns `text` without what could control a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))


def _strange(answer: Frame) -> InterpreterEndedError:
    return InterpreterEndedError(
        f"torch's process gave an answer that builder cannot read: {sorted(answer.header)!r:.80}"
    )
