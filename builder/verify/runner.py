"""The program in a built runtime that runs models."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from builder.core.inputs import SCALAR
from builder.core.manifest import Fields, parse_json
from builder.core.nesting import Group, InputSpec, Number
from builder.core.operators import Operator
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import BuilderError, VerificationError
from builder.system.process import Completed, failure_text
from builder.verify.coverage import build_hint
from builder.verify.hosts import Host
from builder.verify.runtime import Runtime

_MISSING_OPERATORS = re.compile(r"this runtime lacks operators of the model: (?P<names>.+)")
"""What cmake/runtime/verifier/code.cpp throws."""

_LONGEST_LINE, _LONGEST_NAME, _MAX_DIMENSIONS = 1 << 20, 200, 64
_LONGEST = 1e9
"""Seconds."""
_WITHOUT_KERNELS = re.compile(
    r'this runtime was built without kernels for dtype (?P<dtype>\w+), and "[^"]*" was asked for it'
)
"""What cmake/runtime/selected_dtypes.h throws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """What one run of a model gave."""

    outputs: tuple[Tensor, ...]
    seconds: float
    """Of one forward call."""


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
) -> RunOutcome:
    """Runs a method of `model` on `runtime`; `scratch` is an empty folder for the tensors' bytes.

    Args:
        runtime: what to run it on.
        model: a lite file.
        inputs: tensors, one per argument, or the leaves of `structure`.
        scratch: an empty folder.
        host: where it runs (`open_host`).
        structure: one per argument, where some are numbers or groups of inputs.
        repeat: calls of the method.
        method: its name.
        seed: of the random numbers which operators draw; each run draws others without it.
        threads: that operators use; as many as the runtime chooses without it.

    Raises:
        VerificationError: the program fails, lacks operators, or prints what it should not.
    """
    command = [host.put(runtime.runner), host.put(model)]
    files = [scratch / f"input.{index}.bin" for index in range(len(inputs))]
    for file, tensor in zip(files, inputs, strict=True):
        file.write_bytes(tensor.data)
    placed = iter([host.put(file) for file in files])
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
    completed = _run(host, tuple(command), runtime)
    if completed.returncode != 0:
        raise _failed(completed, model, runtime)
    host.get(_list_files(completed.output), scratch)
    return parse_outcome(completed.output, folder=scratch)


def list_registered(runtime: Runtime, *, host: Host) -> frozenset[str]:
    """Returns the operators that the runtime says it has, e.g. `aten::add.Tensor`.

    Raises:
        VerificationError: the program fails.
    """
    command = (host.put(runtime.runner), "--operators")
    completed = _run(host, command, runtime)
    if completed.returncode != 0:
        raise VerificationError(failure_text(f"{command[0]} --operators", completed, log=None))
    return frozenset(line.strip() for line in completed.output.splitlines() if "::" in line)


def format_spec(spec: TensorSpec) -> str:
    """Returns `float32:1x3x224x224`, or `int64:scalar` without dimensions."""
    return f"{spec.dtype}:{'x'.join(map(str, spec.shape)) or SCALAR}"


def _format_input(spec: InputSpec, files: Iterator[str]) -> Iterator[str]:
    """Yields the arguments of the runner that make the input; takes a file per leaf."""
    match spec:
        case TensorSpec():
            yield from ("--input", f"{format_spec(spec)}:{next(files)}")
        case Number():
            next(files)  # a number's leaf is the tensor that stands for it in reference cases
            yield from _format_number(spec.value)
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
    return f"--{type(value).__name__}", repr(value)


def parse_outcome(output: str, *, folder: Path) -> RunOutcome:
    """Returns the outcome that the last JSON line of `output` describes; files in `folder`.

    Raises:
        VerificationError: no such line, or files that are not what it says.
    """
    try:
        value = _last_object(output)
        items = value.items("outputs")
        files = [Fields(item, "an output").text("file") for item in items]
        if len(set(files)) != len(files):
            raise ValueError("several outputs in one file")  # noqa: TRY301 - as other damage
        outputs = tuple(_read_output(Fields(item, "an output"), folder) for item in items)
        return RunOutcome(outputs=outputs, seconds=_seconds(value.get("seconds")))
    except (ValueError, OSError) as error:
        raise VerificationError(
            f"the runtime's program printed what builder cannot read: {error}",
            hint="build the runtime again with this builder",
        ) from error


def parse_missing_operators(output: str) -> tuple[Operator, ...]:
    """Returns the operators that a runtime says it cannot find; empty when it says nothing."""
    found = _MISSING_OPERATORS.search(output)
    names = found["names"].split(", ") if found else []
    try:
        return tuple(sorted({Operator.parse(name) for name in names if "::" in name}))
    except ValueError:
        return ()  # the model's own text, which is shown as it is


def _run(host: Host, command: tuple[str, ...], runtime: Runtime) -> Completed:
    try:
        return host.run(command, libraries=runtime.libraries)
    except BuilderError as error:
        raise VerificationError(
            f"{error.message}; the runtime is for {runtime.manifest.abi}",
            hint="verify it on a machine that can run it",
        ) from error


def _failed(completed: Completed, model: Path, runtime: Runtime) -> VerificationError:
    told = parse_missing_operators(completed.output)
    # a model can print that line too; what the runtime has is not what it lacks
    if missing := sorted(set(told) - set(runtime.manifest.operators)):
        return VerificationError(
            f"{runtime.root} lacks {len(missing)} operators of {model.name}: "
            f"{', '.join(map(str, missing))}",
            hint=build_hint(model, runtime.manifest.abi),
        )
    if without := _WITHOUT_KERNELS.search(completed.output):
        return VerificationError(
            f"{model.name} on {runtime.root}: {without[0]}",
            hint=f"build one for it: builder build {shlex.quote(str(model))} "
            f"--abi {runtime.manifest.abi} --dtypes {runtime.manifest.dtypes},{without['dtype']}",
        )
    if completed.returncode < 0:
        name = signal.Signals(-completed.returncode).name
        return VerificationError(f"{model.name} ended {runtime.runner} by {name}")
    return VerificationError(
        failure_text(f"running {model.name} on {runtime.root}", completed, log=None)
    )


def _list_files(output: str) -> list[str]:
    """Returns the names of the outputs' files; none where that cannot be read."""
    try:
        items = _last_object(output).items("outputs")
        names = [Fields(item, "an output").text("file") for item in items]
    except ValueError:
        return []
    return [name for name in names if _is_file_name(name)]


def _last_object(output: str) -> Fields:
    for line in reversed(output.splitlines()):
        if line.lstrip().startswith("{"):
            return Fields(parse_json(line, most=_LONGEST_LINE), "its last line")
    raise ValueError("no JSON line in its output")


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _LONGEST:
        raise ValueError(f"no time of a forward call: {value!r:.60}")
    return float(value)


def _is_file_name(text: str) -> bool:
    return Path(text).name == text and "\0" not in text and len(text) < _LONGEST_NAME


def _is_dimension(size: object) -> bool:
    return type(size) is int and 0 <= size < 1 << 62


def _read_output(item: Fields, folder: Path) -> Tensor:
    shape, file = item.items("shape"), item.text("file")
    if len(shape) > _MAX_DIMENSIONS or not all(map(_is_dimension, shape)):
        raise ValueError(f"not a shape: {shape!r:.60}")
    if not _is_file_name(file):
        raise ValueError(f"not a file's name: {file!r:.60}")
    spec = TensorSpec(DType(item.text("dtype")), tuple(shape))  # type: ignore[arg-type]
    wanted = prod(spec.shape) * spec.dtype.itemsize
    if (found := (folder / file).stat().st_size) != wanted:
        raise ValueError(f"{file} has {found} bytes, {spec} takes {wanted}")
    return Tensor(spec, (folder / file).read_bytes())
