"""Running a model eagerly and from its lite file, and judging the difference."""

from __future__ import annotations

import io
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from builder.core.arguments import adapt
from builder.core.artifacts import OutputDifference
from builder.core.differences import count_nan
from builder.core.nesting import InputSpec
from builder.core.signatures import Signature
from builder.core.tensors import Tensor
from builder.errors import ModelError, ToolchainError, VerificationError
from builder.export.capabilities import import_torchvision
from builder.export.error_texts import describe_exception, shorten
from builder.export.values import flatten_outputs, to_arguments

Call = Callable[..., Any]
"""A model, or one method of it: arguments in, whatever it returns out."""
_SECONDS = 0.3
_MOST_CALLS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Inputs of one call."""

    specs: tuple[InputSpec, ...]
    leaves: tuple[Tensor, ...]
    channels_last: bool = False

    @classmethod
    def of(cls, inputs: Sequence[Tensor]) -> Sample:
        """Returns plain tensors as a sample."""
        return cls(specs=tuple(tensor.spec for tensor in inputs), leaves=tuple(inputs))

    def arguments(self) -> tuple[Any, ...]:
        """Returns new values for each call, since a model may write to its inputs."""
        return to_arguments(self.specs, self.leaves, channels_last=self.channels_last)

    def adapt(self, signature: Signature | None) -> Sample:
        """Returns it as a lite file's method takes it, where that tells what it takes."""
        specs, leaves = adapt(signature, self.specs, self.leaves)
        return replace(self, specs=specs, leaves=leaves)

    def __str__(self) -> str:
        return ", ".join(map(str, self.specs))


def run_eager(module: Call, sample: Sample) -> tuple[Tensor, ...]:
    """Returns the flattened outputs of a module or a method, without gradients.

    Raises:
        ModelError: the inputs do not fit, the module raises, or its outputs have no C API type.
    """
    import torch

    try:
        with torch.no_grad(), _interruptible(module):
            outputs = module(*sample.arguments())
    except Exception as error:  # the user's own code
        raise ModelError(
            f"the model does not run on {sample}: {describe_exception(error)}",
            hint="give the inputs it takes: --shape 1,3,224,224 --dtype float32, once per input",
        ) from error
    return flatten_outputs(outputs)


@contextmanager
def _interruptible(module: Call) -> Iterator[None]:
    """Lets Ctrl-C end this process where Python cannot: TorchScript asks for no signals."""
    import torch

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not (isinstance(module, torch.jit.ScriptModule) and ours and main):
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def load_lite(content: bytes) -> Any:  # noqa: ANN401 - torch has no types here
    """Returns the model of a lite file, for torch's own lite interpreter; a call runs forward().

    A damaged file crashes the process: only the child of `interpreter` calls this.

    Raises:
        ToolchainError: it needs torchvision's operators, and that is missing.
        VerificationError: that cannot load it.
    """
    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    try:
        try:
            return _load_for_lite_interpreter(io.BytesIO(content))
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
        import_torchvision()  # registers the operators that the file needs
        return _load_for_lite_interpreter(io.BytesIO(content))
    except ToolchainError:
        raise
    except Exception as error:  # damaged files make torch raise anything
        raise VerificationError(
            f"torch {torch.__version__} cannot load the lite file: {shorten(str(error))}"
        ) from error


def call_lite(module: Call, sample: Sample) -> tuple[Tensor, ...]:
    """Returns the flattened outputs of a loaded lite file; VerificationError when it fails."""
    import torch

    try:
        with torch.no_grad():
            outputs = module(*sample.arguments())
    except Exception as error:  # what a model raises is a torch.jit.Error
        raise VerificationError(
            f"torch {torch.__version__} cannot run the lite file: {shorten(str(error))}"
        ) from error
    return flatten_outputs(outputs)


def time_call(module: Call, sample: Sample) -> float:
    """Returns the seconds of the quickest of some calls; it has run before."""
    import torch

    arguments = sample.arguments()
    quickest, spent, calls = float("inf"), 0.0, 0
    with torch.no_grad():
        while calls < _MOST_CALLS and spent < _SECONDS:
            started = time.perf_counter()
            module(*arguments)
            seconds = time.perf_counter() - started
            quickest, spent, calls = min(quickest, seconds), spent + seconds, calls + 1
    return quickest


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch, QNNPACK and XNNPACK compute with one thread, for the time of the block.

    Times can be compared then, also on a busy machine, where XNNPACK's threads wait by spinning;
    and sums have one order, so that the same model gives the same file.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_numbers(outputs: Sequence[Tensor]) -> None:
    """Raises ModelError when an output holds NaN: nothing could be compared with it."""
    for index, tensor in enumerate(outputs):
        if count := count_nan(tensor):
            raise ModelError(
                f"output {index}, {tensor.spec}, holds {count} NaN",
                hint="check the weights, try other inputs with --seed 1, or export without a "
                "comparison: --no-reference",
            )


def find_failure(
    form: str, differences: Sequence[OutputDifference], *, repeatable: bool
) -> VerificationError | None:
    """Returns the error that names every output of `form` that is off; None when all are right."""
    off = [difference for difference in differences if not difference.ok]
    if not off:
        return None
    lines = "".join(f"\n  output {d.index}, {d.spec}: {describe_difference(d)}" for d in off)
    hint = (
        "a trace freezes decisions that depend on values: try --script; --no-optimize tells "
        "whether the optimiser is the reason; --tolerance 1e-3 accepts more, --keep writes the "
        "file as it is"
        if repeatable
        else "two eager runs differ as well: the model is random, or keeps state"
    )
    return VerificationError(f"{form} differs from eager PyTorch:{lines}", hint=hint)


def describe_difference(difference: OutputDifference) -> str:
    """Returns what is wrong with one output, in words."""
    return difference.problem or (
        f"largest relative difference {difference.max_relative:.3g}, "
        f"allowed {difference.tolerance:.3g}"
    )
