"""Turns a Python module into TorchScript: by tracing, by scripting, or unchanged."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from builder.core.nesting import Constant, Named
from builder.errors import Hint, ModelError, Use
from builder.export.error_texts import describe_torchscript_error, is_foreign, shorten
from builder.export.parameters import name_positions, order_arguments
from builder.export.request import Capture
from builder.export.samples import Sample
from builder.export.values import to_call
from builder.system.progress import Progress

AS_IS = "as is"
_FORWARD = "forward"


def script_module(
    module: torch.nn.Module,
    sample: Sample,
    capture: Capture,
    *,
    methods: Mapping[str, Sample],
    progress: Progress,
) -> tuple[torch.jit.ScriptModule, str]:
    """Returns `module` as TorchScript, and how it was captured (`trace`, `script`, `as is`).

    Warnings of the tracer about the user's code are passed to `progress`: they name the places
    where a trace freezes a decision of the code. `methods` are those to keep besides forward(),
    with the inputs on which a trace runs them.

    Raises:
        ModelError: TorchScript cannot express the module, or leaves out one of `methods`.
    """
    if isinstance(module, torch.jit.ScriptModule) and capture is not Capture.TRACE:
        return module, AS_IS
    if capture is Capture.SCRIPT:
        scripted = _script(module)
        check_methods(scripted, tuple(methods))
        return scripted, Capture.SCRIPT
    # Recorded and not printed: most warnings are about torch's own code.
    with warnings.catch_warnings(record=True) as caught:
        # Python shows a repeated warning once per process, and a process may export several models.
        warnings.simplefilter("always", torch.jit.TracerWarning)
        if (keys := list_traced(sample)) != tuple(range(len(sample.specs))):
            module, sample = _take_by_position(module, sample, keys, methods), sample.select(keys)
        traced = _trace(module, {_FORWARD: sample, **methods})
    for text in sorted({_describe_warning(w) for w in caught if _is_relevant(w)}):
        progress.note(text)
    return traced, Capture.TRACE


def list_traced(sample: Sample) -> tuple[int | str, ...]:
    """Returns the keys of the inputs that a trace of forward() takes: it has no argument for None.

    Inputs with names become positions, in this order.
    """
    pairs = zip(sample.keys, sample.specs, strict=True)
    return tuple(
        key
        for key, spec in pairs
        if (spec.spec if isinstance(spec, Named) else spec) != Constant(None)
    )


def _take_by_position(
    module: torch.nn.Module,
    sample: Sample,
    keys: Sequence[int | str],
    methods: Mapping[str, Sample],
) -> torch.nn.Module:
    """Returns a module that passes what a trace gives it by position on to `module` by `keys`."""
    if methods:
        raise ModelError(
            "a trace keeps no other methods where inputs have names, or are None",
            hint=Hint("try ", Use("capture", "script")),
        )
    # None stays where it was given by position.
    count = sum(isinstance(key, int) for key in sample.keys)

    class ByPosition(torch.nn.Module):  # type: ignore[misc] # torch has no types here
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *inputs: Any) -> Any:  # noqa: ANN401 - what the model takes
            given = dict(zip(keys, inputs, strict=True))
            named = {key: value for key, value in given.items() if isinstance(key, str)}
            return self.module(*map(given.get, range(count)), **named)

    # The tracer reads the names of the arguments from it.
    ByPosition.forward.__signature__ = name_positions(module.forward, keys)  # type: ignore[attr-defined]
    return ByPosition().eval()


def check_methods(module: torch.nn.Module, methods: Sequence[str]) -> None:
    """Raises ModelError when the module lacks one of `methods`."""
    for name in methods:
        if callable(getattr(module, name, None)):
            continue
        # Scripting drops methods that nothing calls and that are not marked.
        lost = isinstance(module, torch.jit.ScriptModule)
        raise ModelError(
            f"the model has no method {name!r}" + (" in TorchScript" if lost else ""),
            hint="mark it with @torch.jit.export"
            if lost
            else Hint(Use("methods"), " takes the name of a method"),
        )


def _trace(module: torch.nn.Module, samples: Mapping[str, Sample]) -> torch.jit.ScriptModule:
    # Methods marked with @torch.jit.export are compiled by torch while it traces the others.
    inputs = {
        name: order_arguments(getattr(module, name), *to_call(sample))
        for name, sample in samples.items()
        if not _is_exported(getattr(module, name))
    }
    try:
        # Not strict, so that dicts may be returned; the check against a second run is left out
        # because the saved file is compared with eager PyTorch anyway.
        return torch.jit.trace_module(module, inputs, strict=False, check_trace=False)
    except Exception as error:  # the user's forward() runs in it
        raise ModelError(
            f"the model cannot be traced: {describe_torchscript_error(error)}",
            hint=_tracing_remedy(str(error), [name for name in inputs if name != _FORWARD]),
        ) from error


def _tracing_remedy(text: str, methods: Sequence[str]) -> str:
    if "requires grad as a constant" in text:
        return (
            "a tensor of the model is neither a parameter nor a buffer: register it with "
            "register_buffer(), or call detach() on it"
        )
    if methods:
        return Hint(
            f"a trace runs {', '.join(methods)} too; give tensors as inputs: ",
            *(Use("methods", f"{methods[0]}=float32[2,3]"), ", or try ", Use("capture", "script")),
            ", with @torch.jit.export in front of the methods",
        )
    return Hint(
        *("try ", Use("capture", "script"), "; a traced model must take and return tensors, or "),
        "tuples, lists and dicts of tensors of one type",
    )


def _is_exported(method: object) -> bool:
    modifier = getattr(method, "_torchscript_modifier", None)
    return modifier is torch._jit_internal.FunctionModifiers.EXPORT  # noqa: SLF001


def _script(module: torch.nn.Module) -> torch.jit.ScriptModule:
    try:
        return torch.jit.script(module)
    except Exception as error:  # compiling runs the user's properties and hooks
        raise ModelError(
            f"the model cannot be scripted: {describe_torchscript_error(error)}",
            hint=Hint(
                "annotate the types of arguments, move Python-only code behind "
                "@torch.jit.unused, or try ",
                Use("capture", "trace"),
            ),
        ) from error


def _is_relevant(warning: warnings.WarningMessage) -> bool:
    tracers = issubclass(warning.category, torch.jit.TracerWarning)
    return tracers and not is_foreign(warning.filename)


def _describe_warning(warning: warnings.WarningMessage) -> str:
    reason = shorten(str(warning.message)).split(". ")[0]
    return f"{warning.filename}:{warning.lineno}: {reason}"
