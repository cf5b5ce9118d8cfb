"""Reads real inputs for the setting `calibrate`: images or arrays in a folder, or a loader's."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from builder.core.arrays import Array
from builder.core.nesting import InputSpec, Named, name_inputs
from builder.core.tensors import TensorSpec
from builder.errors import ConfigurationError, Hint, ModelError, ToolchainError, Use
from builder.export.error_texts import describe_exception
from builder.export.factories import first_on_import_path, import_attribute
from builder.export.samples import Sample
from builder.export.values import from_arguments

MOST_SAMPLES = 128
"""Largest number of samples that are read."""
_IMAGES = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}
_ARRAYS = {".npy", ".npz"}
# Mean and standard deviation of ImageNet, as in the presets of torchvision.transforms.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def read_samples(origin: str, *, folder: Path, specs: tuple[InputSpec, ...]) -> tuple[Sample, ...]:
    """Returns up to 128 samples of real inputs.

    Images are scaled and cropped to the height and width of the first input, and normalised with
    the mean and standard deviation of ImageNet, as torchvision's classifiers expect. A `.npy` file
    holds one input; a `.npz` file holds one array per input, in the order of their names. A loader
    is iterated, or called and then iterated; each item is one input or a tuple of inputs. Items
    after the inputs of the model, such as labels, are left out.

    Args:
        origin: a folder, or `package.module:loader`.
        folder: the folder to which `origin` is relative.
        specs: the inputs of the model, as far as they are known.

    Raises:
        ConfigurationError: the folder does not exist, or contains no samples.
        ModelError: a loader raises, or gives a value that cannot be an input.
    """
    path = folder / origin
    if ":" in origin and not path.exists():
        samples = tuple(_load(origin, folder, specs))
    elif path.is_dir():
        samples = tuple(_read_folder(path, specs))
    else:
        raise ConfigurationError(
            f"the folder for calibration does not exist: {origin}",
            hint=Hint(
                Use("calibrate"),
                " takes a folder of images or .npy files, or package.module:loader",
            ),
        )
    if not samples:
        raise ConfigurationError(f"{origin} contains no samples for calibration")
    return samples


def _load(origin: str, folder: Path, specs: tuple[InputSpec, ...]) -> Iterator[Sample]:
    with first_on_import_path(folder):
        loader = import_attribute(origin)
        try:
            batches: Iterable[Any] = loader() if callable(loader) else loader
            # A loader may be endless, as training loaders are.
            given = list(itertools.islice(batches, MOST_SAMPLES))
        except Exception as error:
            raise ModelError(
                f"{origin} raised {describe_exception(error)}",
                hint="builder iterates over the loader, or calls it without arguments and "
                "iterates over the result",
            ) from error
    names = [spec.name for spec in specs if isinstance(spec, Named)]
    for value in given:
        arguments = tuple(value) if isinstance(value, tuple | list) else (value,)
        # A tokenizer gives a mapping; it is one dict where the inputs have no names.
        if names and isinstance(value, Mapping) and names == [key for key in names if key in value]:
            arguments = tuple(value[name] for name in names)
        # Loaders yield labels after the inputs; without known inputs, everything counts.
        found, leaves = from_arguments(arguments[: len(specs) or None])
        yield Sample(specs=name_inputs(specs, found), leaves=leaves)


def _read_folder(path: Path, specs: tuple[InputSpec, ...]) -> Iterator[Sample]:
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in _IMAGES | _ARRAYS)
    for file in files[:MOST_SAMPLES]:
        if file.suffix.lower() in _IMAGES:
            arrays: tuple[Array, ...] = (_read_image(file, _image_size(specs, file)),)
        else:
            arrays = _read_arrays(file)
        given, leaves = from_arguments(tuple(torch.from_numpy(array) for array in arrays))
        yield Sample(specs=name_inputs(specs, given), leaves=leaves)


def _image_size(specs: tuple[InputSpec, ...], file: Path) -> tuple[int, int]:
    match specs:
        case (TensorSpec(shape=(_, 3, height, width)),):
            return height, width
    raise ConfigurationError(
        f"{file.name} is an image, but the model does not take one: {', '.join(map(str, specs))}",
        hint=Hint(
            "images work for models with one input [N,3,H,W]; for other models use .npy files, or "
            "a loader: ",
            Use("calibrate", "package.module:loader"),
        ),
    )


def _read_image(file: Path, size: tuple[int, int]) -> Array:
    image_module = _import_pillow()
    try:
        with image_module.open(file) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as an image: {error}") from error
    height, width = size
    # The shorter side fills the target, as torchvision's Resize and CenterCrop do; nothing is
    # distorted.
    scale = max(height / image.height, width / image.width)
    scaled = image.resize(
        (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    )
    left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
    values = np.asarray(scaled.crop((left, top, left + width, top + height)), np.float32) / 255
    # NHWC becomes NCHW, with a batch of one.
    array: Array = ((values - _MEAN) / _DEVIATION).transpose(2, 0, 1)[None]
    return np.ascontiguousarray(array, np.float32)


def _read_arrays(file: Path) -> tuple[Array, ...]:
    try:
        # A pickle in a NumPy file would run code.
        loaded = np.load(file, allow_pickle=False)
        if file.suffix == ".npy":
            return (loaded,)
        with loaded:
            return tuple(loaded[name] for name in sorted(loaded.files))
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"{file} cannot be read as a NumPy file: {error}") from error


def _import_pillow() -> Any:  # noqa: ANN401 - a module
    try:
        from PIL import Image
    except ImportError as error:
        raise ToolchainError(
            "reading images needs Pillow, which is not installed", hint="pip install pillow"
        ) from error
    return Image
