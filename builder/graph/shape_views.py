"""Shapes of views, of parts of tensors, and of tensors that are put together."""

from __future__ import annotations

import math

from builder.graph.graph import TensorInfo
from builder.graph.shape_questions import Answer, Question, Sizes


def reshape(question: Question) -> Answer:
    """The rule for `view` and `reshape`."""
    info = question.info("self")
    name = "size" if question.call.name == "aten::view" else "shape"
    wanted = question.lengths(name)
    if wanted is None:
        return TensorInfo(info.dtype, None)
    sizes = [None if size == -1 else size for size in wanted]
    # Two sizes of -1 are an error in ATen, which the model shall have at run time as before.
    if wanted.count(-1) == 1 and None not in wanted and info.sizes and None not in info.sizes:
        total = math.prod(size for size in info.sizes if size is not None)
        rest = math.prod(size for size in wanted if size is not None and size != -1)
        if rest and total % rest == 0:
            sizes[wanted.index(-1)] = total // rest
    return TensorInfo(info.dtype, tuple(sizes))


def flatten(question: Question) -> Answer:
    """The rule for dimensions that become one."""
    info = question.info("self")
    if info.sizes is None:
        return TensorInfo(info.dtype, _flat(question))
    rank = len(info.sizes)
    if not rank:
        return TensorInfo(info.dtype, (1,))
    start, end = question.dim("start_dim", rank), question.dim("end_dim", rank)
    if start is None or end is None or start > end:
        return TensorInfo(info.dtype, None)
    inner = info.sizes[start : end + 1]
    size = None if None in inner else math.prod(size for size in inner if size is not None)
    return TensorInfo(info.dtype, (*info.sizes[:start], size, *info.sizes[end + 1 :]))


def _flat(question: Question) -> Sizes | None:
    """Returns the sizes of a tensor of unknown rank after its last dimensions became one."""
    start = question.call.static("start_dim")
    if type(start) is not int or start < 0 or question.call.static("end_dim") != -1:
        return None
    return (None,) * (start + 1)


def permute(question: Question) -> Answer:
    """The rule for dimensions in another order."""
    info = question.info("self")
    dims = question.call.integers("dims")
    if dims is None:
        return TensorInfo(info.dtype, None)
    rank = len(dims)
    if info.sizes is None or rank != len(info.sizes):
        return TensorInfo(info.dtype, (None,) * rank)
    # Such a call fails when it runs. Nothing is known of what follows it.
    if sorted(dim % rank for dim in dims) != list(range(rank)):
        return TensorInfo(info.dtype, None)
    return TensorInfo(info.dtype, tuple(info.sizes[dim] for dim in dims))


def transpose(question: Question) -> Answer:
    """The rule for two dimensions that change places."""
    info = question.info("self")
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    sizes = list(info.sizes)
    first, second = question.dim("dim0", len(sizes)), question.dim("dim1", len(sizes))
    if first is None or second is None:
        return TensorInfo(info.dtype, (None,) * len(sizes))
    sizes[first], sizes[second] = sizes[second], sizes[first]
    return TensorInfo(info.dtype, tuple(sizes))


def turn(question: Question) -> Answer:
    """The rule for a matrix whose dimensions change places."""
    info = question.info("self")
    return TensorInfo(info.dtype, None if info.sizes is None else info.sizes[::-1])


def unsqueeze(question: Question) -> Answer:
    """The rule for a new dimension of size 1."""
    info = question.info("self")
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    # The new dimension may stand behind the last one, so there is one more place than dimensions.
    dim = question.dim("dim", len(info.sizes) + 1)
    if dim is None:
        return TensorInfo(info.dtype, (None,) * (len(info.sizes) + 1))
    return TensorInfo(info.dtype, (*info.sizes[:dim], 1, *info.sizes[dim:]))


def squeeze(question: Question) -> Answer:
    """The rule for a dimension that is dropped if its size is 1."""
    info = question.info("self")
    operator = question.call.node.operator
    if operator == "aten::squeeze" and info.sizes is not None and None not in info.sizes:
        return TensorInfo(info.dtype, tuple(size for size in info.sizes if size != 1))
    if info.sizes is None or operator != "aten::squeeze.dim":
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes))
    # A size that is not known may be 1, so even the number of dimensions is open.
    if dim is None or info.sizes[dim] is None:
        return TensorInfo(info.dtype, None)
    rest = info.sizes[:dim] + info.sizes[dim + 1 :]
    return TensorInfo(info.dtype, rest if info.sizes[dim] == 1 else info.sizes)


def select(question: Question) -> Answer:
    """The rule for one index of a dimension."""
    info = question.info("self")
    if info.sizes is None or question.call.node.operator != "aten::select.int":
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes))
    if dim is None:
        return TensorInfo(info.dtype, (None,) * (len(info.sizes) - 1))
    return TensorInfo(info.dtype, info.sizes[:dim] + info.sizes[dim + 1 :])


def slice_(question: Question) -> Answer:
    """The rule for a range of indices of a dimension."""
    info = question.info("self")
    if info.sizes is None or question.call.node.operator != "aten::slice.Tensor":
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes))
    if dim is None:
        return TensorInfo(info.dtype, (None,) * len(info.sizes))
    bounds = [question.call.static(name) for name in ("start", "end", "step")]
    size = info.sizes[dim]
    length = None
    if size is not None and all(item is None or type(item) is int for item in bounds):
        start, end, step = (item if type(item) is int else None for item in bounds)
        if step is None or step > 0:
            # ATen cuts bounds that are too large or negative as Python does.
            length = len(range(*slice(start, end, step).indices(size)))
    return TensorInfo(info.dtype, (*info.sizes[:dim], length, *info.sizes[dim + 1 :]))


def chunk(question: Question) -> Answer:
    """The rule for equal parts of a tensor."""
    info = question.info("self")
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    dim = question.dim("dim", len(info.sizes))
    if dim is None:
        return TensorInfo(info.dtype, (None,) * len(info.sizes))
    size, chunks = info.sizes[dim], question.call.static("chunks")
    length = None
    # Otherwise the last chunk is smaller, and here all chunks have one shape.
    if size is not None and type(chunks) is int and chunks > 0 and size % chunks == 0:
        length = size // chunks
    return TensorInfo(info.dtype, (*info.sizes[:dim], length, *info.sizes[dim + 1 :]))


def concatenate(question: Question) -> Answer:
    """The rule for tensors one behind the other."""
    tensors = question.call.value("tensors")
    items = None if tensors is None else question.containers.items(tensors)
    if not items:
        return _concatenate_any(question)
    infos = [value.info or TensorInfo() for value in items]
    dtypes = {info.dtype for info in infos}
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    shapes = [info.sizes for info in infos]
    first = shapes[0]
    # An empty tensor of rank 1 may stand between others, so all ranks must be known.
    if first is None or any(shape is None or len(shape) != len(first) for shape in shapes):
        return TensorInfo(dtype, None)
    dim = question.dim("dim", len(first))
    if dim is None:
        return TensorInfo(dtype, (None,) * len(first))
    sizes: list[int | None] = []
    for i in range(len(first)):
        column = [shape[i] for shape in shapes if shape is not None]
        if i == dim:
            sizes.append(None if None in column else sum(size or 0 for size in column))
        else:
            sizes.append(next((size for size in column if size is not None), None))
    return TensorInfo(dtype, tuple(sizes))


def _concatenate_any(question: Question) -> Answer:
    """The rule for a list that changes, or that an operator made."""
    found = question.content("tensors")
    return TensorInfo(found.dtype, None if found.sizes is None else (None,) * len(found.sizes))


def expand(question: Question) -> Answer:
    """The rule for a tensor that is repeated without copying."""
    info = question.info("self")
    wanted = question.lengths("size")
    if wanted is None:
        return TensorInfo(info.dtype, None)
    own: Sizes = (None,) * len(wanted)
    if info.sizes is not None:
        # Dimensions are aligned at the end; new ones come in front.
        own = (None,) * (len(wanted) - len(info.sizes)) + info.sizes
    sizes = tuple(a if b == -1 else b for a, b in zip(own, wanted, strict=False))
    return TensorInfo(info.dtype, sizes)


def pad(question: Question) -> Answer:
    """The rule for margins around a tensor."""
    name = question.call.schema.arguments[0].name
    info = question.info(name)
    padding = question.call.integers(question.call.schema.arguments[1].name)
    if info.sizes is None:
        return TensorInfo(info.dtype, None)
    sizes = list(info.sizes)
    if padding is None or len(padding) > 2 * len(sizes):
        return TensorInfo(info.dtype, (None,) * len(sizes))
    # Margins begin with the last dimension (torch.nn.functional.pad).
    for i in range(len(padding) // 2):
        size = sizes[-1 - i]
        sizes[-1 - i] = None if size is None else size + padding[2 * i] + padding[2 * i + 1]
    return TensorInfo(info.dtype, tuple(sizes))
