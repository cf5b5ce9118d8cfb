"""Shapes of what convolutions, linear layers, products and pooling make."""

from __future__ import annotations

from collections.abc import Callable

from builder.graph.graph import TensorInfo
from builder.graph.shape_questions import Answer, Question, broadcast


def convolution(dims: int, *, transposed: bool = False) -> Callable[[Question], Answer]:
    """Returns the rule for a convolution over `dims` dimensions."""
    return lambda question: _convolve(question, dims, transposed=transposed)


def any_convolution(question: Question) -> Answer:
    """The rule for a convolution whose number of dimensions its weight tells."""
    weight = question.info("weight").sizes
    transposed = question.call.static("transposed")
    if weight is None or len(weight) < 3 or not isinstance(transposed, bool):
        return TensorInfo(question.info("input").dtype, None)
    return _convolve(question, len(weight) - 2, transposed=transposed)


def named_padding(question: Question) -> Answer:
    """The rule for a convolution whose padding has a name, such as `same`."""
    weight, dtype = question.info("weight"), question.info("input").dtype
    sizes = None
    if weight.sizes is not None and len(weight.sizes) > 2:
        sizes = question.image("input", len(weight.sizes) - 2)
    return TensorInfo(dtype or weight.dtype, None if sizes is None else (None,) * len(sizes))


def _convolve(question: Question, dims: int, *, transposed: bool) -> Answer:
    weight = question.info("weight")
    dtype = question.info("input").dtype or weight.dtype
    sizes = question.image("input", dims)
    groups = question.call.static("groups")
    if sizes is None:
        return TensorInfo(dtype, None)
    # The batch may be missing: ATen takes a single image too.
    batch = sizes[: -dims - 1]
    if weight.sizes is None or len(weight.sizes) != dims + 2:
        return TensorInfo(dtype, (*batch, *(None,) * (dims + 1)))
    channels = weight.sizes[1 if transposed else 0]
    if transposed:
        channels = channels * groups if channels and isinstance(groups, int) else None
    stride, padding, adjustment, dilation = (
        question.call.integers(name, dims)
        for name in ("stride", "padding", "output_padding", "dilation")
    )
    spatial: list[int | None] = [None] * dims
    if stride and padding and dilation and all(stride):
        for i, size in enumerate(sizes[-dims:]):
            kernel = weight.sizes[i + 2]
            if size is None or kernel is None:
                continue
            # The formulas are those in the documentation of torch.nn.Conv2d and ConvTranspose2d.
            window = dilation[i] * (kernel - 1) + 1
            if not transposed:
                spatial[i] = (size + 2 * padding[i] - window) // stride[i] + 1
            elif adjustment is not None:
                spatial[i] = (size - 1) * stride[i] - 2 * padding[i] + window + adjustment[i]
    return TensorInfo(dtype, (*batch, channels, *spatial))


def prepacked_convolution(question: Question) -> Answer:
    """The rule for XNNPACK's convolutions, whose weights are not looked into."""
    sizes = question.info("X").sizes
    # XNNPACK takes four dimensions only. The number of channels and the window stand in the packed
    # object, which no rule opens.
    batch = sizes[0] if sizes is not None and len(sizes) == 4 else None
    return TensorInfo("float32", (batch, None, None, None))


def linear(question: Question) -> Answer:
    """The rule for a linear layer."""
    info, weight = question.info("input"), question.info("weight")
    dtype = info.dtype or weight.dtype
    if info.sizes is None or weight.sizes is None or not info.sizes:
        return TensorInfo(dtype, None)
    last = weight.sizes[:1] if len(weight.sizes) == 2 else ()
    return TensorInfo(dtype, (*info.sizes[:-1], *last))


def prepacked_linear(question: Question) -> Answer:
    """The rule for XNNPACK's linear layers, whose weights are not looked into."""
    sizes = question.info("X").sizes
    return TensorInfo("float32", None if not sizes else (*sizes[:-1], None))


def matmul(question: Question) -> Answer:
    """The rule for products of matrices, and of batches of them."""
    names = ("self", "other") if question.call.value("other") else ("self", "mat2")
    left, right = (question.info(name) for name in names)
    dtype = left.dtype if left.dtype == right.dtype else None
    a, b = left.sizes, right.sizes
    if not a or not b:
        # Only `matmul` takes other tensors than matrices, or batches of them.
        known = {"aten::mm": (None, None), "aten::bmm": (None, None, None)}
        return TensorInfo(dtype, known.get(question.call.name))
    # A vector on the left has no rows, and one on the right no columns, as in torch.matmul.
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    batch = broadcast(a[:-2], b[:-2])
    return TensorInfo(dtype, None if batch is None else (*batch, *rows, *columns))


def addmm(question: Question) -> Answer:
    """The rule for a product of two matrices to which something is added."""
    left, right = question.info("mat1"), question.info("mat2")
    dtype = left.dtype if left.dtype == right.dtype else None
    if left.sizes is None or right.sizes is None:
        return TensorInfo(dtype, (None, None))
    return TensorInfo(dtype, (*left.sizes[:1], *right.sizes[-1:]))


def pooling(dims: int, *, indices: bool = False) -> Callable[[Question], Answer]:
    """Returns the rule for pooling over `dims` dimensions; with `indices`, for two results."""

    def rule(question: Question) -> Answer:
        call = question.call
        info, sizes = question.info("self"), question.image("self", dims)
        if sizes is None:
            return TensorInfo(info.dtype, None)
        kernel = call.integers("kernel_size", dims)
        # ATen takes an empty list of strides for the size of the window.
        stride = kernel if call.static("stride") in ([], None) else call.integers("stride", dims)
        padding = call.integers("padding", dims)
        has_dilation = any(a.name == "dilation" for a in call.schema.arguments)
        dilation = call.integers("dilation", dims) if has_dilation else (1,) * dims
        spatial: list[int | None] = [None] * dims
        if kernel and stride and padding is not None and dilation and all(stride):
            for i, size in enumerate(sizes[-dims:]):
                # With `ceil_mode`, ATen leaves out a last window that would start in the padding.
                # That is not modelled, and the size stays unknown.
                if size is not None and call.static("ceil_mode") is False:
                    window = dilation[i] * (kernel[i] - 1) + 1
                    spatial[i] = (size + 2 * padding[i] - window) // stride[i] + 1
        shape = (*sizes[:-dims], *spatial)
        found = TensorInfo(info.dtype, shape)
        return [found, TensorInfo("int64", shape)] if indices else found

    return rule


def adaptive_pooling(dims: int) -> Callable[[Question], Answer]:
    """Returns the rule for pooling to a size that the call gives."""

    def rule(question: Question) -> Answer:
        info, sizes = question.info("self"), question.image("self", dims)
        wanted = question.call.integers("output_size", dims)
        if sizes is None:
            return TensorInfo(info.dtype, None)
        return TensorInfo(info.dtype, (*sizes[:-dims], *(wanted or (None,) * dims)))

    return rule


def resize(dims: int) -> Callable[[Question], Answer]:
    """Returns the rule for images that are made larger or smaller."""

    def rule(question: Question) -> Answer:
        name = question.call.schema.arguments[0].name
        info = question.info(name)
        wanted = question.call.integers("output_size", dims)
        if info.sizes is None or len(info.sizes) != dims + 2:
            return TensorInfo(info.dtype, (None,) * (dims + 2))
        return TensorInfo(info.dtype, (*info.sizes[:2], *(wanted or (None,) * dims)))

    return rule


def shuffle_pixels(question: Question) -> Answer:
    """The rule for images whose channels become blocks of pixels."""
    info, factor = question.info("self"), question.call.static("upscale_factor")
    if info.sizes is None or len(info.sizes) < 3 or type(factor) is not int or factor < 1:
        return TensorInfo(info.dtype, None)
    *batch, channels, height, width = info.sizes
    channels = None if channels is None else channels // factor**2
    image = (None if size is None else size * factor for size in (height, width))
    return TensorInfo(info.dtype, (*batch, channels, *image))


def embedding(question: Question) -> Answer:
    """The rule for rows of a table."""
    weight, indices = question.info("weight"), question.info("indices")
    if indices.sizes is None or weight.sizes is None:
        return TensorInfo(weight.dtype, None)
    return TensorInfo(weight.dtype, (*indices.sizes, *weight.sizes[1:]))


def quantized_convolution(question: Question) -> Answer:
    """The rule for QNNPACK's convolutions, whose weights are not looked into."""
    info = question.info("qx")
    sizes = question.image("qx", 2)
    return TensorInfo(info.dtype, None if sizes is None else (*sizes[:-3], None, None, None))
