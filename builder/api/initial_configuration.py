"""Writes the first `builder.yaml` of a project."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from builder.api.configuration import parse_configuration
from builder.errors import ConfigurationError, Hint, Run, Use
from builder.models.read import read_model
from builder.system.machine import host_abi

_LISTED = 50
"""Models that a file is written for; more are hardly one app's."""
_SCHEMA = "# yaml-language-server: $schema={}\n"
_TEXT = """\
{schema}# Settings of builder build; docs/reference/settings.md lists all keys.
# Paths are relative to the folder of this file.

# The models that the runtime has to run.
inputs:
{inputs}
targets:
  # Others are arm64-v8a, armeabi-v7a, ios-arm64, ios-simulator-arm64: builder doctor lists all.
  abis: [{abi}]
  # min_api: 21
  # min_ios: "14.0"

# The folder of the results: <abi>/ for each ABI, maven/ for Android, apple/ for Apple's systems.
output: out

# size, speed or debug
# profile: size
# strip_error_messages: true

# A build that exceeds a budget fails with exit code 8.
# budgets:
#   max_size: [2.5MB]
#   max_compressed: [{abi}=1MB]

# Files for the packages, such as the models.
# assets: [{first}]

# The AAR's coordinates, and the version of the pod.
# android:
#   group: com.example
#   artifact: runtime
#   version: "1.0"
# apple:
#   version: "1.0"

# Exports that make models; builder build --export runs them, and with them the code of the models.
# exports:
#   - source: mobilenet_v2
#     output: mobilenet_v2.ptl

# How builder release shows that the packages work, what it writes, and what it is compared with.
# verify:
#   inputs: ["float32[1,3,224,224]"]
# release:
#   output: release
#   against: last/report.json
#   max_growth: 2%

# Several sets of models: each has all settings above, except those that it gives itself, and its
# results are in a folder of its name.
# products:
#   detector:
#     inputs: [detector.ptl]
#   classifier:
#     inputs: [classifier.ptl]
"""


def render_configuration(models: Sequence[Path], output: Path, schema: Path | None = None) -> str:
    """Returns the text of a commented `builder.yaml`; nothing is written.

    Args:
        models: the models to name; without any, the lite files in the folder of `output` and in
            those directly below it.
        output: where the file will be.
        schema: where the schema of the file will be, for editors.

    Raises:
        ConfigurationError: there are no models, or more than 50, or a name cannot stand in the
            file.
        ModelError: one of `models` cannot be read.
    """
    folder = output.parent
    for path in models:
        read_model(path)
    found = tuple(models) or _find_models(folder)
    names = [_relative(path, folder) for path in found]
    text = _TEXT.format(
        schema="" if schema is None else _SCHEMA.format(_relative_schema(schema, folder)),
        inputs="".join(f"  - {_quote(name)}\n" for name in names),
        abi=host_abi(),
        first=_quote(names[0]),
    )
    _refuse_other_meaning(text, output, [folder / name for name in names])
    return text


def _quote(name: str) -> str:
    """Returns a name as a string of YAML with ASCII only, so that it never ends a line."""
    return '"' + re.sub(r'[^ -~]|["\\]', lambda found: _escape(found[0]), name) + '"'


def _escape(character: str) -> str:
    # YAML has an escape of its own for what JSON writes as two surrogates.
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _refuse_other_meaning(text: str, output: Path, models: Sequence[Path]) -> None:
    """Raises ConfigurationError unless the text names these models and has no other keys.

    Names of files are foreign text: one that became a key could make a build run code.
    """
    read = parse_configuration(text, output)
    (product,) = read.products
    usual = {("request", "inputs"), ("targets", "abis"), ("output",)}
    same = product.values.get(("request", "inputs")) == tuple(models)
    if not same or product.name or read.exports or set(product.values) != usual:
        raise ConfigurationError(
            f"the names of these files cannot stand in {output}", hint="choose other names"
        )


def _find_models(folder: Path) -> tuple[Path, ...]:
    names = (*folder.glob("*.ptl"), *folder.glob("*/*.ptl"))
    # Folders, pipes and links that lead nowhere can have such names too.
    found = sorted(path for path in names if path.is_file())
    if not found or len(found) > _LISTED:
        many = f"{len(found)} lite files (.ptl), more than {_LISTED}" if found else "no lite file"
        raise ConfigurationError(
            f"{folder.resolve()} has {many}",
            hint="name the models: builder init MODEL..."
            if found
            else Hint("make one: ", Run("export", ("MODEL", Use("output", "model.ptl")))),
        )
    return tuple(found)


def _relative(path: Path, folder: Path) -> str:
    name = Path(os.path.relpath(path, folder)).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"{name!r} is not UTF-8, so its name cannot stand in a YAML file",
            hint="give the file another name, or name the models: builder init MODEL...",
        ) from None
    return name


def _relative_schema(path: Path, folder: Path) -> str:
    name = _relative(path, folder)
    # It stands in a comment as it is, where no escape would be understood.
    if not name.isprintable():
        raise ConfigurationError(
            f"{name!r} cannot stand in a comment of a YAML file",
            hint="give the schema a name without control characters",
        )
    return name
