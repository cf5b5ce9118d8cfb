"""Creates models of torchvision by name: classification, detection, segmentation, video."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from builder.core.nesting import InputSpec
from builder.core.tensors import DType, TensorSpec
from builder.errors import Hint, ModelError, Use
from builder.export.capabilities import import_torchvision
from builder.export.error_texts import describe_exception
from builder.export.random_weights import (
    fill_zero_weights,
    keep_few_detections,
    settle_batch_norms,
    spread_scores,
)
from builder.export.request import Flow, Method, Quantisation
from builder.export.torchscript_files import SOURCE_KINDS

_IMAGE = TensorSpec(DType.FLOAT32, (1, 3, 224, 224))
_USUAL: Mapping[str, tuple[InputSpec, ...]] = {
    "detection": (TensorSpec(DType.FLOAT32, (1, 3, 320, 320)),),
    "optical_flow": (TensorSpec(DType.FLOAT32, (1, 3, 128, 128)),) * 2,
    "video": (TensorSpec(DType.FLOAT32, (1, 3, 16, 112, 112)),),
}
"""Subpackage of torchvision.models -> usual inputs of its models; others take `_IMAGE`."""
_LARGE_VIDEO = (TensorSpec(DType.FLOAT32, (1, 3, 16, 224, 224)),)
_LARGE_VIDEO_MODELS = ("s3d", "mvit", "swin3d")
_STATIC = Quantisation(method=Method.STATIC, flow=Flow.EAGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A model of torchvision, with its usual inputs."""

    module: torch.nn.Module
    inputs: tuple[InputSpec, ...]
    quantisation: Quantisation | None


class SingleImage(torch.nn.Module):  # type: ignore[misc] # torch has no types here
    """Returns boxes, labels, scores and other outputs of a detection model for one image."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Takes a batch with one image; a script returns a list, anything else a tuple."""
        if torch.jit.is_scripting():
            # Scripted models return their losses too, and TorchScript's tuples have fixed lengths.
            found = self.model([images[0]])[1][0].values()
        else:
            found = tuple(self.model([images[0]])[0].values())
        return found


def make_torchvision(name: str, arguments: Mapping[str, Any], *, settle: bool) -> NamedModel:
    """Creates a model with random weights; nothing is downloaded.

    A detection model is wrapped so that it takes a batch with one image, which is easier for apps
    than a list of images. A quantised model is created with floating-point weights, for a
    calibration.

    Args:
        name: a name from `torchvision.models.list_models`.
        arguments: arguments for the function that creates the model, e.g. `num_classes`.
        settle: change the random weights so that the outputs are not trivial, such as all zero.

    Raises:
        ModelError: the model does not exist, or torchvision raises while it creates the model.
        ToolchainError: torchvision is missing or does not fit torch.
    """
    models = import_torchvision().models
    names = models.list_models()
    if name not in names:
        near = difflib.get_close_matches(name.lower(), names, n=5, cutoff=0.5)
        guess = f"similar names: {', '.join(near)}. " if near else ""
        raise ModelError(
            f"torchvision has no model {name!r}", hint=f"{guess}SOURCE is {SOURCE_KINDS}"
        )
    build = models.get_model_builder(name)
    module = _build(name, build, arguments)
    kind = build.__module__.removeprefix("torchvision.models.").partition(".")[0]
    inputs = _LARGE_VIDEO if name.startswith(_LARGE_VIDEO_MODELS) else _USUAL.get(kind, (_IMAGE,))
    if settle:
        _settle(module, kind, inputs)
    return NamedModel(
        module=SingleImage(module) if kind == "detection" else module,
        inputs=inputs,
        quantisation=_STATIC if kind == "quantization" else None,
    )


def _build(name: str, build: Any, arguments: Mapping[str, Any]) -> torch.nn.Module:  # noqa: ANN401
    options: dict[str, Any] = {"weights": None}
    known = inspect.signature(build).parameters
    if "weights_backbone" in known:
        options["weights_backbone"] = None  # the default would download weights
    try:
        module: torch.nn.Module = build(**options | dict(arguments))
    except Exception as error:
        taken = ", ".join(key for key in known if key != "kwargs")
        raise ModelError(
            f"torchvision's {name} raised {describe_exception(error)}",
            hint=Hint(
                Use("arguments"),
                f" sets arguments; the model takes {taken} and the arguments of its class",
            ),
        ) from error
    return module


def _settle(module: torch.nn.Module, kind: str, inputs: tuple[InputSpec, ...]) -> None:
    fill_zero_weights(module)
    (first, *_) = inputs
    assert isinstance(first, TensorSpec)
    if kind == "detection":
        spread_scores(module)
        keep_few_detections(module)
        # The whole model returns boxes; its backbone takes an image like a classifier.
        settle_batch_norms(module.get_submodule("backbone"), first)
    # They take two images, and the batch norms are settled with one.
    elif kind != "optical_flow":
        settle_batch_norms(module, first)
