"""Runs torch's lite interpreter, and its loader of TorchScript, in a separate process.

Both are written in C++, which a damaged file or wrong inputs can crash, and a model may loop for
ever or use all memory. Therefore they run in a child process (`worker`) with limits; a model from
an unknown source also runs inside the boundary of `builder.system.sandbox`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.core.hint_json import parse_hint
from builder.core.nesting import Group, GroupKind
from builder.core.stages import RanBy
from builder.core.tensors import DRAWS_SEED, DType, Tensor, TensorSpec
from builder.errors import (
    BuilderError,
    ConfigurationError,
    Hint,
    ModelError,
    Run,
    ToolchainError,
    Use,
    VerificationError,
)
from builder.export.samples import Sample, describe_tensors
from builder.system.children import MAX_ANSWER, ChildEndedError, PythonChild
from builder.system.frames import Frame
from builder.system.limits import Limits
from builder.system.sandbox import check_boundary

_LEAST_LITE, _GROWTH = 64 << 20, 4
"""A lite file may have 64 MiB, and 4 bytes for each byte of its TorchScript file: more than real
files have."""
_WORKER = "builder.export.worker"
_MORE = Hint(
    *("if the model is only slow or large, raise ", Use("limits.seconds"), " or "),
    Use("limits.memory"),
)
_LOADING, _RUNNING = "loading the TorchScript", "running the lite file"
_CRASHED = {
    _LOADING: Hint(
        "the file is damaged, or this is a bug of PyTorch; export the model again from its "
        "Python code: ",
        Run("export", ("package.module:factory", Use("output", "model.ptl"))),
    ),
    _RUNNING: Hint(
        "the file is damaged, the inputs do not fit, or this is a bug of PyTorch; try other "
        "inputs, or export the model in another way: ",
        *(Run("export", ("SOURCE", Use("capture", "script"))), " or "),
        Run("export", ("SOURCE", Use("optimisation.enabled", False))),
    ),
}


class InterpreterEndedError(VerificationError):
    """The child process crashed or reached a limit because of a model; builder itself continues."""

    def __init__(self, message: str, *, hint: str | None = None, by_limit: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.by_limit = by_limit
        """Whether the process reached a limit."""


class LackingError(VerificationError):
    """The torch at hand lacks operators, a backend or a format that a file needs."""


_KINDS: Mapping[str, type[BuilderError]] = {
    kind.__name__: kind
    for kind in (ConfigurationError, LackingError, ModelError, ToolchainError, VerificationError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteRun:
    """The result of running a lite file."""

    outputs: tuple[tuple[Tensor, ...], ...]
    """The flattened outputs of each sample."""
    seconds: float
    """Time of the fastest call with the first sample; 0 if the time was not measured."""
    torch_version: str = ""
    """Empty if no torch took part."""
    by: RanBy = RanBy.TORCH


class Interpreter:
    """Runs model files in a child process, which starts when it is needed and serves several jobs.

    A confined process runs only one model: its boundary cannot be removed, and nothing that one
    model left in the process may affect another model.
    """

    def __init__(self, limits: Limits | None = None, *, confined: bool) -> None:
        self._limits = limits or Limits()
        self._confined = confined
        self._child: PythonChild | None = None

    def start(self) -> None:
        """Starts the child process early, because importing torch takes a while.

        Raises:
            ToolchainError: the process must be confined, but this machine cannot do that.
        """
        if self._confined:
            # Before the child starts: afterwards it would look like a failure of the model.
            check_boundary()
        # A child that crashed over one model is replaced for the next.
        if self._child is None or not self._child.is_alive:
            self.close()
            # The child starts Python while this process goes on; it imports torch with its first
            # job.
            self._child = PythonChild(_WORKER)

    def set_limits(self, limits: Limits) -> None:
        """Changes the limits for later jobs."""
        self._limits = limits

    def close(self) -> None:
        """Ends the child process."""
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
        seed: int = DRAWS_SEED,
    ) -> LiteRun:
        """Runs a method of a lite file on `samples`, each with random numbers drawn from `seed`.

        Raises:
            InterpreterEndedError: torch crashed, or the model reached a limit.
            ToolchainError: torch is missing, or the process cannot be confined.
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
            {"task": "run", "method": method, "samples": given, "timed": timed, "seed": seed},
            (content, *leaves),
            doing=_RUNNING,
        )
        return _parse_run(answer, len(samples))

    def convert(self, torchscript: bytes) -> bytes:
        """Returns a lite file of a TorchScript file; torch runs `__setstate__` of its classes.

        Raises:
            InterpreterEndedError, ToolchainError: as `run` does.
            ModelError: torch cannot load the file, or cannot write its bytecode.
        """
        answer = self._ask(
            {"task": "convert"},
            (torchscript,),
            doing=_LOADING,
            # A model may write its answer itself, so its size is bounded by the file's.
            limit=_LEAST_LITE + _GROWTH * len(torchscript),
        )
        if len(answer.blobs) != 1:
            raise _strange(answer)
        return answer.blobs[0]

    def try_loading(self, torchscript: bytes) -> None:
        """Loads and saves a TorchScript file in the child process, so that only that may crash.

        Raises:
            InterpreterEndedError: torch crashed, or the model reached a limit.
        """
        try:
            self._ask({"task": "try"}, (torchscript,), doing=_LOADING)
        except InterpreterEndedError:
            raise
        except BuilderError:
            return  # the later, real attempt to load the file reports the reason

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
        # Whatever the child reports is text: no exception is pickled.
        if "error" in answer.header:
            raise self._to_error(answer.header, doing)
        return answer

    def _conditions(self) -> dict[str, Any]:
        torch = sys.modules.get("torch")
        # The user's code may have loaded operators of its own, which the file then needs.
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
        # Only builder's own types, by name; anything else is a failed verification.
        kind = _KINDS.get(str(header["error"]), VerificationError)
        return kind(_clean(header.get("message")), hint=_parse_hint(header.get("hint")))


def _parse_hint(value: object) -> Hint | None:
    try:
        return None if value is None else parse_hint(value, _clean)
    except ValueError:
        return None


def _parse_run(answer: Frame, samples: int) -> LiteRun:
    """Returns the result in an answer, checked: a model may have controlled the process."""
    try:
        return LiteRun(
            outputs=_parse_outputs(answer, samples),
            seconds=float(answer.header["seconds"]),
            # Even the version comes from a process that a model could have taken over.
            torch_version=_clean(answer.header["torch"])[:80],
        )
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise _strange(answer) from error


def _parse_outputs(answer: Frame, samples: int) -> tuple[tuple[Tensor, ...], ...]:
    described = answer.header["outputs"]
    specs = [[_parse_spec(item) for item in outputs] for outputs in described]
    # The bytes come from a process that a model may control, so all counts are compared.
    if len(specs) != samples or sum(map(len, specs)) != len(answer.blobs):
        raise ValueError("the number of outputs is wrong")
    blobs = iter(answer.blobs)
    return tuple(tuple(_take(spec, next(blobs)) for spec in outputs) for outputs in specs)


def _take(spec: TensorSpec, data: bytes) -> Tensor:
    if len(data) != math.prod(spec.shape) * spec.dtype.itemsize:
        raise ValueError("a tensor has another length than its shape says")
    return Tensor(spec, data)


def _parse_spec(item: Any) -> TensorSpec:  # noqa: ANN401 - JSON
    dtype, shape = item
    # bool is an int in Python, and negative sizes could cancel out in the product.
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("a size is not a whole number")
    return TensorSpec(DType(dtype), tuple(shape))


def _clean(text: object) -> str:
    """Returns `text` with characters escaped that could control a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))


def _strange(answer: Frame) -> InterpreterEndedError:
    return InterpreterEndedError(
        f"torch's process gave an answer that builder cannot read: {sorted(answer.header)!r:.80}"
    )
