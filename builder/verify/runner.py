"""Calls the program in a built runtime that runs models, and reads its output."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from builder.core.artifacts import OperatorTime, Profile
from builder.core.counts import number_of
from builder.core.input_descriptions import SCALAR
from builder.core.nesting import Constant, Group, InputSpec, Number
from builder.core.operators import Operator
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.core.typed import parse_json
from builder.errors import BuilderError, Hint, Run, Use, VerificationError
from builder.system.files import read_regular
from builder.system.process import Completed, failure_text, name_signal
from builder.verify.coverage import build_hint
from builder.verify.hosts import Host
from builder.verify.runtime import Runtime

_MISSING_OPERATORS = re.compile(r"this runtime lacks operators of the model: (?P<names>.+)")
"""The message that cmake/runtime/verifier/code.cpp throws."""

_LONGEST_LINE, _LONGEST_NAME, _MAX_DIMENSIONS = 1 << 20, 200, 64
"""Bounds for the output: bytes of the JSON line, characters of a file name, dimensions. A model may
have changed what the program prints."""
_LONGEST = 1e9
"""Largest time of a forward call, in seconds."""
_WITHOUT_KERNELS = re.compile(
    r'this runtime was built without kernels for dtype (?P<dtype>\w+), and "[^"]*" was asked for it'
)
"""The message that cmake/runtime/selected_dtypes.h throws."""
_WITHOUT_PROFILE = "unknown argument --profile"
"""What programs of version 0.1 say that were built before there was this option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    """One output, as the program describes it."""

    dtype: DType
    shape: Annotated[
        tuple[Annotated[int, Meta(ge=0, lt=1 << 62)], ...], Meta(max_length=_MAX_DIMENSIONS)
    ]
    file: str


_Count = Annotated[int, Meta(ge=0, lt=1 << 62)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _OperatorTime:
    """One operator of a profile, as the program describes it."""

    name: Annotated[str, Meta(max_length=_LONGEST_NAME)]
    calls: _Count
    nanoseconds: _Count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profile:
    """The times of operators, as the program describes them."""

    calls: Annotated[int, Meta(ge=1, lt=1 << 62)]
    seconds: Annotated[float, Meta(ge=0, lt=_LONGEST)]
    operators: tuple[_OperatorTime, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """The last line that the program prints."""

    outputs: tuple[_Output, ...]
    seconds: Annotated[float, Meta(ge=0, lt=_LONGEST)]
    profile: _Profile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The outputs of one run of a model."""

    outputs: tuple[Tensor, ...]
    seconds: float
    """Time of the fastest forward call."""
    profile: Profile | None = None
    """Times of operators; None unless they were measured."""


def run_model(
    runtime: Runtime,
    model: Path,
    inputs: Sequence[Tensor],
    *,
    scratch: Path,
    host: Host,
    structure: Sequence[InputSpec] = (),
    repeat: int = 1,
    method: str = "forward",
    seed: int | None = None,
    threads: int | None = None,
    profile: bool = False,
) -> RunResult:
    """Runs a method of `model` on `runtime`.

    Args:
        runtime: the runtime.
        model: a lite file.
        inputs: tensors, one per argument, or the leaves of `structure`.
        scratch: an empty folder for the files with the bytes of tensors.
        host: where the program runs (`open_host`).
        structure: a specification per argument; needed if one is a number or a group.
        repeat: number of calls of the method.
        method: name of the method.
        seed: seed for random numbers that operators draw; None: they differ in each run.
        threads: number of threads that operators use; None: the runtime chooses.
        profile: whether to call the method `repeat` times more, and to measure its operators then.

    Raises:
        VerificationError: the program fails, lacks operators, or its output is malformed.
    """
    command = [host.put(runtime.runner), host.put(model)]
    files = [scratch / f"input.{index}.bin" for index in range(len(inputs))]
    for file, tensor in zip(files, inputs, strict=True):
        file.write_bytes(tensor.data)
    placed = iter([host.put(file) for file in files])
    # An input without a structure is a plain tensor.
    for spec in structure or [tensor.spec for tensor in inputs]:
        command += _format_input(spec, placed)
    command += ["--output-dir", host.folder(scratch)]
    if method != "forward":
        command += ["--method", method]
    if seed is not None:
        command += ["--seed", str(seed)]
    if repeat > 1:
        command += ["--repeat", str(repeat)]
    if threads is not None:
        command += ["--threads", str(threads)]
    if profile:
        command.append("--profile")
    completed = _run(host, tuple(command), runtime)
    if completed.returncode != 0:
        raise _failed(completed, model, runtime)
    host.get(_list_files(completed.output), scratch)
    return parse_run_result(completed.output, folder=scratch)


def list_registered(runtime: Runtime, *, host: Host) -> frozenset[str]:
    """Asks the runtime for its operators and returns their names, e.g. `aten::add.Tensor`.

    Raises:
        VerificationError: the program fails.
    """
    command = (host.put(runtime.runner), "--operators")
    completed = _run(host, command, runtime)
    if completed.returncode != 0:
        raise VerificationError(failure_text(f"{command[0]} --operators", completed, log=None))
    # Other lines are what the program or its loader prints.
    return frozenset(line.strip() for line in completed.output.splitlines() if "::" in line)


def format_spec(spec: TensorSpec) -> str:
    """Returns `spec` as the program reads it: `float32:1x3x224x224`, or `int64:scalar`."""
    return f"{spec.dtype}:{'x'.join(map(str, spec.shape)) or SCALAR}"


def _format_input(spec: InputSpec, files: Iterator[str]) -> Iterator[str]:
    """Yields the program's arguments for one input; takes one of `files` per leaf."""
    match spec:
        case TensorSpec():
            yield from ("--input", f"{format_spec(spec)}:{next(files)}")
        case Number():
            # The value is in the specification; the tensor is skipped to keep the order.
            next(files)  # in reference cases, a tensor stands for a number
            yield from _format_number(spec.value)
        case Constant(value=None):
            yield "--none"
        case Constant(value=str() as text):
            yield from ("--text", text)
        case Group():
            yield f"--{spec.kind}"
            for index, item in enumerate(spec.items):
                if spec.keys:
                    yield from ("--key", spec.keys[index])
                yield from _format_input(item, files)
            yield "--end"


def _format_number(value: bool | float) -> tuple[str, str]:
    if isinstance(value, bool):
        return "--bool", str(int(value))
    # The names of the options are those of Python's types: --int and --float.
    return f"--{type(value).__name__}", repr(value)


def parse_run_result(output: str, *, folder: Path) -> RunResult:
    """Returns the result that the last JSON line of `output` describes.

    Raises:
        VerificationError: there is no such line, or the files in `folder` do not fit it.
    """
    try:
        report = _last_report(output)
        # Two outputs in one file would hide the loss of one.
        if len({one.file for one in report.outputs}) != len(report.outputs):
            raise ValueError("several outputs use one file")  # noqa: TRY301 - as other damage
        outputs = tuple(_read_output(one, folder) for one in report.outputs)
        return RunResult(
            outputs=outputs, seconds=report.seconds, profile=_read_profile(report.profile)
        )
    except (ValueError, OSError) as error:
        raise VerificationError(
            f"builder cannot read the output of the runtime's program: {error}",
            hint="build the runtime again with this builder",
        ) from error


def _read_profile(profile: _Profile | None) -> Profile | None:
    if profile is None:
        return None
    listed = sorted(profile.operators, key=lambda each: (-each.nanoseconds, each.name))
    times = (
        OperatorTime(name=each.name, calls=each.calls, nanoseconds=each.nanoseconds)
        for each in listed
    )
    return Profile(calls=profile.calls, seconds=profile.seconds, operators=tuple(times))


def parse_missing_operators(output: str) -> tuple[Operator, ...]:
    """Returns the operators that the runtime reports as missing; empty if there is no report."""
    match = _MISSING_OPERATORS.search(output)
    names = match["names"].split(", ") if match else []
    try:
        return tuple(sorted({Operator.parse(name) for name in names if "::" in name}))
    except ValueError:
        return ()  # the model printed this line, not the runtime


def _run(host: Host, command: tuple[str, ...], runtime: Runtime) -> Completed:
    try:
        return host.run(command, libraries=runtime.libraries)
    except BuilderError as error:
        raise VerificationError(
            f"{error.message}; the runtime is for {runtime.manifest.abi}",
            hint="verify the model on a machine that can run this runtime",
        ) from error


def _failed(completed: Completed, model: Path, runtime: Runtime) -> VerificationError:
    reported = parse_missing_operators(completed.output)
    # A model can print such a line too: the runtime does not lack an operator of its manifest.
    if missing := sorted(set(reported) - set(runtime.manifest.operators)):
        return VerificationError(
            f"{runtime.root} lacks {number_of(len(missing), 'operator')} of {model.name}: "
            f"{', '.join(map(str, missing))}",
            hint=build_hint(model, runtime.manifest.abi),
        )
    if without := _WITHOUT_KERNELS.search(completed.output):
        return VerificationError(
            f"{model.name} on {runtime.root}: {without[0]}",
            hint=Hint(
                "build a runtime with this dtype: ",
                Run(
                    "build",
                    (
                        str(model),
                        Use("targets.abis", runtime.manifest.abi),
                        Use("dtypes", f"{runtime.manifest.dtypes},{without['dtype']}"),
                    ),
                ),
            ),
        )
    if _WITHOUT_PROFILE in completed.output:
        return VerificationError(
            f"{runtime.root} cannot measure operators, because an older builder has built it",
            hint=Hint(
                "build the runtime again: ",
                Run("build", (str(model), Use("targets.abis", runtime.manifest.abi))),
            ),
        )
    if completed.returncode < 0:  # subprocess: the negative number of the signal
        name = name_signal(-completed.returncode)
        return VerificationError(f"{runtime.runner} was ended by {name} while it ran {model.name}")
    return VerificationError(
        failure_text(f"running {model.name} on {runtime.root}", completed, log=None)
    )


def _list_files(output: str) -> list[str]:
    """Returns the names of the files with outputs; an empty list if they cannot be read."""
    try:
        names = [one.file for one in _last_report(output).outputs]
    except ValueError:
        return []
    return [name for name in names if _is_file_name(name)]


def _last_report(output: str) -> _Report:
    # The model may print too, but the program prints its result last.
    for line in reversed(output.splitlines()):
        if line.lstrip().startswith("{"):
            return parse_json(line, _Report, "its last line", most=_LONGEST_LINE)
    raise ValueError("it has no line of JSON")


def _is_file_name(text: str) -> bool:
    is_plain = Path(text).name == text and text != ".." and "\0" not in text
    return is_plain and len(text) < _LONGEST_NAME


def _read_output(output: _Output, folder: Path) -> Tensor:
    file, spec = output.file, TensorSpec(output.dtype, output.shape)
    if not _is_file_name(file):
        raise ValueError(f"the name of a file is malformed: {file!r:.60}")
    expected = prod(spec.shape) * spec.dtype.itemsize
    # Compared before reading, so that a wrong size costs no memory.
    if (size := (folder / file).stat().st_size) != expected:
        raise ValueError(f"{file} has {size} bytes, but {spec} needs {expected}")
    return Tensor(spec, read_regular(folder / file, expected))
