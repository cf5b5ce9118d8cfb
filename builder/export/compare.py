"""Runs a model in eager mode and from its lite file, and judges the difference."""

from __future__ import annotations

import io
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.jit.mobile import _load_for_lite_interpreter

from builder.core.artifacts import OutputDifference
from builder.core.differences import count_nan
from builder.core.tensors import DRAWS_SEED, Tensor
from builder.errors import Hint, ModelError, ToolchainError, Use, VerificationError
from builder.export.capabilities import import_torchvision, probe_torch
from builder.export.error_texts import describe_exception, shorten
from builder.export.interpreter import LackingError
from builder.export.remedies import find_remedy
from builder.export.samples import Sample
from builder.export.values import flatten_outputs, to_arguments, to_call

Call = Callable[..., Any]
"""A model or one of its methods: takes arguments and returns any value."""
_SECONDS = 0.3
"""Total time in seconds after which `time_call` makes no further call."""
_MOST_CALLS = 20
_LACKING = re.compile(r"Following ops cannot be found: \[(?P<names>[^\]]+)\]")
"""The message of torch/csrc/jit/mobile/import.cpp."""


def run_eager(module: Call, sample: Sample, *, seed: int = DRAWS_SEED) -> tuple[Tensor, ...]:
    """Returns the flattened outputs of a module or a method, without gradients.

    The generator of random numbers is seeded before the call, here and in `call_lite`: forms that
    draw alike can be compared.

    Raises:
        ModelError: the inputs do not fit, the module raises, or its outputs have no C API type.
    """
    return flatten_outputs(call_eager(module, sample, seed=seed))


def call_eager(
    module: Call, sample: Sample, *, seed: int = DRAWS_SEED, remedy: Hint | None = None
) -> Any:  # noqa: ANN401 - a model returns anything
    """Returns what a module or a method returns, without gradients.

    Raises:
        ModelError: the inputs do not fit, or the module raises; `remedy` says how to describe other
            inputs.
    """
    try:
        torch.manual_seed(seed)
        with torch.no_grad(), _interruptible(module):
            arguments, named = to_call(sample)
            return module(*arguments, **named)
    except Exception as error:  # the user's own code
        raise ModelError(
            f"the model does not run {sample.describe()}: {describe_exception(error)}",
            hint=find_remedy(error) if remedy is None else find_remedy(error, remedy),
        ) from error


@contextmanager
def _interruptible(module: Call) -> Iterator[None]:
    """Lets Ctrl-C end this process at once: while TorchScript runs, Python handles no signals."""
    # A handler that somebody else has set is left alone, and only the main thread may set one.
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
    """Loads a lite file with torch's own lite interpreter; calling the result runs forward().

    A damaged file can crash the process, so only the child process of `interpreter` calls this.

    Raises:
        LackingError: this torch has not all that the file needs.
        ToolchainError: the file needs operators of torchvision, which is not installed.
        VerificationError: torch cannot load the file.
    """
    try:
        try:
            return _load_for_lite_interpreter(io.BytesIO(content))
        except RuntimeError as error:
            # torch names the operator that it does not know.
            if "torchvision::" not in str(error):
                raise
        import_torchvision()  # registers the operators that the file needs
        return _load_for_lite_interpreter(io.BytesIO(content))
    except ToolchainError:
        raise
    except Exception as error:  # damaged files make torch raise anything
        lacks = _explain_lack(content, str(error))
        if lacks:
            raise LackingError(f"torch {torch.__version__} {lacks}") from error
        raise VerificationError(
            f"torch {torch.__version__} cannot load the lite file: {shorten(str(error))}"
        ) from error


def _explain_lack(content: bytes, error: str) -> str:
    """Says what this torch lacks; an empty text if an error is another one."""
    if lacking := _LACKING.search(error):
        return f"has no {lacking['names']}, which the lite file calls"
    # Without its class, torch takes the state of a packed layer for something else, and says so.
    if b"torch.classes.xnnpack" in content and not probe_torch().xnnpack:
        return "has no XNNPACK, for which layers of the lite file are packed"
    # Of a torch that is older than the format, or was built without it.
    if "ersion number does not match" in error or "flatbuffer" in error.lower():
        return f"cannot load the lite file: {shorten(error)}"
    return ""


def call_lite(module: Call, sample: Sample, *, seed: int = DRAWS_SEED) -> tuple[Tensor, ...]:
    """Returns the flattened outputs of a loaded lite file; VerificationError when it fails."""
    try:
        torch.manual_seed(seed)
        with torch.no_grad():
            outputs = module(*to_arguments(sample))
    except Exception as error:  # what a model raises is a torch.jit.Error
        raise VerificationError(
            f"torch {torch.__version__} cannot run the lite file: {shorten(str(error))}"
        ) from error
    return flatten_outputs(outputs)


def time_call(module: Call, sample: Sample) -> float:
    """Returns the seconds of the fastest of up to 20 calls; the model must have run before."""
    arguments, named = to_call(sample)
    # The minimum, because noise of the machine only ever adds time.
    fastest, spent, calls = float("inf"), 0.0, 0
    with torch.no_grad():
        while calls < _MOST_CALLS and spent < _SECONDS:
            started = time.perf_counter()
            module(*arguments, **named)
            seconds = time.perf_counter() - started
            fastest, spent, calls = min(fastest, seconds), spent + seconds, calls + 1
    return fastest


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch, QNNPACK and XNNPACK use only one thread inside the block.

    This makes times comparable, even on a busy machine, where XNNPACK's threads wait by spinning.
    It also fixes the order of additions, so that the same model gives the same file.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_numbers(outputs: Sequence[Tensor]) -> None:
    """Raises ModelError when an output contains NaN: no comparison with it would be possible."""
    for index, tensor in enumerate(outputs):
        if count := count_nan(tensor):
            raise ModelError(
                f"output {index}, {tensor.spec}, contains {count} NaN values",
                hint=Hint(
                    *("check the weights, try other inputs with ", Use("seed", 1)),
                    *(", or export without a comparison: ", Use("reference", False)),
                ),
            )


def find_failure(
    form: str, differences: Sequence[OutputDifference], *, why: str
) -> VerificationError | None:
    """Returns an error with every output of `form` that differs too much; None if there is none.

    `why`: what is known of the reason, as a hint; empty if nothing is.
    """
    off = [difference for difference in differences if not difference.ok]
    if not off:
        return None
    lines = "".join(f"\n  output {d.index}, {d.spec}: {describe_difference(d)}" for d in off)
    hint = Hint(
        *("a trace freezes decisions that depend on values: try ", Use("capture", "script")),
        ". To see whether the optimisation causes the difference, try ",
        *(Use("optimisation.enabled", False), ". ", Use("tolerance", "1e-3")),
        *(" accepts larger differences, and ", Use("keep"), " writes the file anyway"),
    )
    return VerificationError(f"{form} differs from eager PyTorch:{lines}", hint=why or hint)


def describe_difference(difference: OutputDifference) -> str:
    """Returns a description of what is wrong with one output."""
    return difference.problem or (
        f"largest relative difference {difference.max_relative:.3g}, "
        f"allowed {difference.tolerance:.3g}"
    )
