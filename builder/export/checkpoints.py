"""Reads state dicts for the setting `weights` without executing code in the file."""

from __future__ import annotations

import difflib
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from builder.core.counts import number_of
from builder.errors import Hint, ModelError, Run, ToolchainError, Use
from builder.export.error_texts import shorten
from builder.system.guarded_zips import open_zip_file

_WRAPPINGS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts often store the state dict."""
_PARALLEL = "module."
"""Prefix that torch.nn.DataParallel adds to the names."""
_ZIP = b"PK\x03\x04"
MOST_RECORDS = 1_000_000
"""Files in the archive of a state dict, which has one for each tensor."""
_COUNTER = "num_batches_tracked"
"""A buffer of batch norms that only training uses; files from PyTorch before 0.4.1 lack it."""
_TRAINED = Hint(
    "create the model as it was trained, for example with ", Use("arguments", "num_classes=10")
)
_SHOWN = 5
_SAVE = "save only the weights: torch.save(model.state_dict(), 'weights.pt')"


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Loads the state dict in `path` into `module`.

    Raises:
        ModelError: the file is missing, is not a state dict, needs code to be executed, or does
            not fit the module.
        ToolchainError: the installed torch cannot read a state dict safely.
    """
    state = _unwrap(_read(path), path)
    expected = module.state_dict()
    _check_names(path, state, expected)
    # load_state_dict would report shapes and names together, in one long text.
    wrong = [
        f"{name}: {tuple(value.shape)} in the file, {tuple(expected[name].shape)} in the model"
        for name, value in state.items()
        if value.shape != expected[name].shape
    ]
    if wrong:
        raise ModelError(
            f"{path} and the model differ in the shape of {number_of(len(wrong), 'weight')}: "
            f"{_some(wrong)}",
            hint=_TRAINED,
        )
    module.load_state_dict(dict(state), strict=False)  # names are checked above


def _read(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    if not path.is_file():
        raise ModelError(
            f"no such file: {path}", hint=Hint(Use("weights"), " takes the file of a state dict")
        )
    # The format has no magic number, so only the name tells.
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    _check_container(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except TypeError as error:
        raise ToolchainError(
            f"torch {torch.__version__} cannot load weights without executing code in the file",
            hint="save the state dict as a .safetensors file, which every torch reads safely",
        ) from error
    except Exception as error:  # the unpickler raises what the file's content makes it raise
        raise ModelError(
            f"{path} cannot be read safely as a state dict: {shorten(str(error))}", hint=_SAVE
        ) from error


def _read_safetensors(path: Path) -> Any:  # noqa: ANN401
    try:
        # Nothing is mapped: a file that somebody cuts would kill who reads it.
        return load(path.read_bytes())
    except MemoryError:
        raise ModelError(f"{path} is larger than the memory") from None
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} is not a valid safetensors file: {shorten(str(error))}"
        ) from error


def _check_container(path: Path) -> None:
    """Refuses the containers for which `weights_only` was no protection (CVE-2025-32434)."""
    with path.open("rb") as stream:
        zipped = stream.read(len(_ZIP)) == _ZIP  # as torch.load decides
    if zipped and zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            names = open_zip_file(stream, str(path), ModelError, most=MOST_RECORDS).namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            raise ModelError(
                f"{path} is TorchScript, not a state dict",
                hint=Hint(Run("export", (str(path), Use("output", "model.ptl")))),
            )
    elif tarfile.is_tarfile(path):
        raise ModelError(f"{path} is in PyTorch's oldest format, a tar archive", hint=_SAVE)


def _unwrap(value: Any, path: Path) -> Mapping[str, torch.Tensor]:  # noqa: ANN401

    if isinstance(value, Mapping):
        # The first one that is there; a checkpoint may hold an optimiser's state beside it.
        for key in _WRAPPINGS:
            if isinstance(value.get(key), Mapping):
                value = value[key]
                break
        if value and all(str(name).startswith(_PARALLEL) for name in value):
            value = {name.removeprefix(_PARALLEL): item for name, item in value.items()}
    if (
        not isinstance(value, Mapping)
        or not value
        or not all(isinstance(item, torch.Tensor) for item in value.values())
    ):
        raise ModelError(
            f"{path} contains a {type(value).__name__}, not a state dict",
            hint=f"{_SAVE}; a dict with one of the keys {', '.join(_WRAPPINGS)} works too",
        )
    return value


def _check_names(path: Path, state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    missing = [name for name in expected if name not in state and not name.endswith(_COUNTER)]
    unexpected = [name for name in state if name not in expected]
    if not missing and not unexpected:
        return
    parts = [
        f"{len(names)} {what}: {_some(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    hint: str = _TRAINED
    if missing and (near := difflib.get_close_matches(missing[0], unexpected, n=1, cutoff=0.7)):
        hint = f"{near[0]} in the file looks like {missing[0]}: rename the keys and save it again"
    raise ModelError(
        f"{path} does not fit the {number_of(len(expected), 'weight')} of the model: "
        f"{'; '.join(parts)}",
        hint=hint,
    )


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
