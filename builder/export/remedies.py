"""Says what to do when a model raises an error on inputs: not all errors are about the inputs."""

from __future__ import annotations

from collections.abc import Iterator

from builder.errors import Hint, Use

_INPUTS = Hint(
    "describe the inputs that it takes: ",
    *(Use("inputs", "float32[1,3,224,224]"), ", once per input"),
)
_DEVICE = (
    "the code asks for a device that mobile devices and this machine do not have: take the device "
    "of an input, as in torch.zeros(3, device=x.device), or load the weights with "
    'map_location="cpu"'
)
_DEVICES = (
    "tensors are on several devices: move the whole model to the CPU, and register tensors that "
    "are no parameters with register_buffer(), so that they move with it"
)
_HALF = (
    "this torch cannot compute it with float16 on a CPU: compute in float32 (model.float(), or "
    "convert the weights in forward())"
)
_NO_FORWARD = (
    "a lite file is called through forward(), so methods alone cannot be exported: add a "
    "forward(), which may call another method"
)
_CAUSES = (
    ('missing the required "forward"', _NO_FORWARD),
    ("not implemented for 'Half'", _HALF),
    ("on the same device", _DEVICES),
    ("not on the expected device", _DEVICES),
    ("meta tensor", _DEVICES),
    ("device meta", _DEVICES),
    ("not compiled with CUDA", _DEVICE),
    ("NVIDIA driver", _DEVICE),
    ("CUDA error", _DEVICE),
    ("CUDA GPUs", _DEVICE),
    ("'CUDA' backend", _DEVICE),
    ("MPS backend", _DEVICE),
)
"""Parts of torch's messages -> what helps."""


def find_remedy(error: BaseException, inputs: Hint = _INPUTS) -> str:
    """Returns a hint for an error that a model raised when it ran on inputs.

    Args:
        error: what the model raised.
        inputs: the hint where the inputs may be to blame.
    """
    texts = list(map(str, _causes(error)))
    # The order of the table decides where several parts fit.
    found = (hint for part, hint in _CAUSES if any(part in text for text in texts))
    return next(found, inputs)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and those that led to it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        # torch often raises an error of its own while it handles the one that tells what happened.
        current = current.__cause__ or current.__context__
