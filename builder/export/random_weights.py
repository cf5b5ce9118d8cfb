"""Changes random weights so that the outputs of a model are useful for comparisons."""

from __future__ import annotations

import torch

from builder.core.tensors import TensorSpec

_BATCH = 4
_DETECTIONS = 10


def fill_zero_weights(module: torch.nn.Module) -> None:
    """Gives random values to weights that are all zero, such as the head of torchvision's ViT."""
    for weight in module.parameters():
        if weight.dim() > 1 and not weight.any():
            torch.nn.init.normal_(weight, std=0.02)


def spread_scores(module: torch.nn.Module) -> None:
    """Gives the weights behind a detection model's scores a wider distribution.

    With the narrow initial weights, all scores are nearly equal: their order is random, and none
    passes the threshold of a detection.
    """
    for name, layer in module.named_modules():
        if ("classification_head" in name or ".cls_" in name) and isinstance(
            layer, torch.nn.Linear | torch.nn.Conv2d
        ):
            torch.nn.init.kaiming_normal_(layer.weight)


def keep_few_detections(module: torch.nn.Module) -> None:
    """Lets a detection model with random weights return only its ten best boxes.

    Among hundreds of boxes, some have the same score except for rounding, so their order varies.
    """
    for part in module.modules():
        if hasattr(part, "detections_per_img"):
            part.detections_per_img = _DETECTIONS


def settle_batch_norms(module: torch.nn.Module, image: TensorSpec) -> None:
    """Gives the batch norms of `module` the statistics of one random batch of `image`s.

    With the initial statistics (mean 0, variance 1) the values of an untrained network vanish:
    the outputs of MobileNetV2 are around 1e-9, and a runtime that returns zeros would pass any
    comparison. With real statistics, an error in the folding of a batch norm changes the outputs.
    """
    norms = [m for m in module.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    if not norms:
        return
    module.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the plain mean over all batches, of which there is one
        norm.train()
    with torch.no_grad():
        module(torch.randn(_BATCH, *image.shape[1:]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
