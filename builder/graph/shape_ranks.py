"""How many dimensions results have, of operators whose sizes no rule computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from builder.graph.graph import TensorInfo, Value
from builder.graph.shape_elements import all_sizes
from builder.graph.shape_questions import Answer, Question, ranked

_INDEXES = frozenset({"int8", "int16", "int32", "int64"})


def same_sizes(question: Question) -> Answer:
    """The rule for results with the sizes of the first argument, and of some dtype."""
    first = question.first()
    found = TensorInfo(None, first.sizes)
    return [found] * len(question.call.node.outputs)


def same_rank(question: Question) -> Answer:
    """The rule for results with as many dimensions as the first argument."""
    sizes = question.first().sizes
    return [ranked(None if sizes is None else len(sizes))] * len(question.call.node.outputs)


def more(number: int) -> Callable[[Question], Answer]:
    """Returns the rule for results with `number` dimensions more than the first argument."""

    def rule(question: Question) -> Answer:
        sizes = question.first().sizes
        if sizes is None or len(sizes) + number < 0:
            return None
        return [ranked(len(sizes) + number)] * len(question.call.node.outputs)

    return rule


def fixed(rank: int) -> Callable[[Question], Answer]:
    """Returns the rule for results that always have `rank` dimensions."""
    return lambda question: [ranked(rank)] * len(question.call.node.outputs)


def like(name: str) -> Callable[[Question], Answer]:
    """Returns the rule for a result with as many dimensions as the argument `name`."""
    return lambda question: ranked(question.rank(name))


def listed(name: str) -> Callable[[Question], Answer]:
    """Returns the rule for a result with a dimension for each number of a list."""

    def rule(question: Question) -> Answer:
        sizes = question.lengths(name)
        return ranked(None if sizes is None else len(sizes))

    return rule


def pairwise(question: Question) -> Answer:
    """The rule for operands that are computed together; their dtypes are not looked at."""
    names = [one.name for one in question.call.schema.arguments if one.type == "Tensor"]
    values = [question.call.value(name) for name in names]
    sizes = all_sizes([value for value in values if value is not None])
    return [TensorInfo(None, sizes)] * len(question.call.node.outputs)


def reduction(question: Question) -> Answer:
    """The rule for functions of all elements along some dimensions, or along all of them."""
    call = question.call
    names = [one.name for one in call.schema.arguments]
    outputs = len(call.node.outputs)
    if "dim" not in names:
        # Without dimensions, such as `aten::max`, there is one number. `aten::max.other` compares.
        return pairwise(question) if "other" in names else [ranked(0)] * outputs
    rank, dim, keep = question.rank(names[0]), call.static("dim"), call.static("keepdim")
    if keep is True:
        return [ranked(rank)] * outputs
    if dim is None:
        return [ranked(0 if keep is False else None)] * outputs
    # An empty list means all dimensions for some of these operators, and none for others.
    gone = 1 if type(dim) is int else len(call.integers("dim") or ())
    if rank is None or keep is not False or not gone:
        return None
    # A number without dimensions has 0 and -1 as dimensions too.
    return [ranked(max(rank - gone, 0))] * outputs


def stack(question: Question) -> Answer:
    """The rule for tensors of equal sizes that get a new dimension."""
    found = question.content("tensors")
    return ranked(None if found.sizes is None else len(found.sizes) + 1)


def einsum(question: Question) -> Answer:
    """The rule for sums of products, whose equation names the dimensions of the result."""
    equation = question.call.static("equation")
    if not isinstance(equation, str) or "->" not in equation or "." in equation:
        return None
    return ranked(sum(one.isalpha() for one in equation.partition("->")[2]))


def index(question: Question) -> Answer:
    """The rule for elements that tensors of indices choose."""
    rank, indices = question.rank("self"), question.call.value("indices")
    items = None if indices is None else question.containers.items(indices)
    if rank is None or items is None:
        return None
    given = [one for one in items if not (one.is_constant and one.constant is None)]
    ranks = [_rank_of_indices(one) for one in given]
    if None in ranks or not ranks:
        return ranked(None if ranks else rank)
    # The dimensions of all indices together take the place of those that they index.
    left = rank - len(given)
    return ranked(left + max(one for one in ranks if one is not None)) if left >= 0 else None


def _rank_of_indices(value: Value) -> int | None:
    """Returns how many dimensions a tensor of integers has; a mask would be something else."""
    info = value.info
    if info is None or info.sizes is None or info.dtype not in _INDEXES:
        return None
    return len(info.sizes)


def unflatten(question: Question) -> Answer:
    """The rule for a dimension that becomes several."""
    rank, sizes = question.rank("self"), question.lengths("sizes")
    return ranked(None if rank is None or sizes is None else rank - 1 + len(sizes))


def recurrent(question: Question) -> Answer:
    """The rule for LSTM, GRU and plain recurrent layers: the sequence, then one state or two."""
    if not question.call.node.operator.endswith(".input"):
        return None
    rank = question.rank("input")
    return [ranked(rank)] * len(question.call.node.outputs)


def parts(question: Question) -> Answer:
    """The rule for a list of parts of a tensor."""
    return ranked(question.rank(question.call.schema.arguments[0].name))


def attention(question: Question) -> Answer:
    """The rule for attention, if nothing is broadcast."""
    ranks = {question.rank(name) for name in ("query", "key", "value")}
    return ranked(ranks.pop() if len(ranks) == 1 else None)


def unbind(question: Question) -> Answer:
    """The rule for the parts of a tensor along a dimension, without that dimension."""
    rank = question.rank("self")
    return ranked(rank - 1 if rank else None)


def _names(text: str) -> list[str]:
    return [f"aten::{name}" for name in text.split()]


_SAME_SIZES = """
    acos acosh angle asin asinh atan atanh bernoulli bitwise_not conj cos cosh cpu cuda cummax
    cummin cumprod cumsum deg2rad digamma empty_like erfc erfinv exp2 expm1 frac full_like
    hardshrink imag index_add index_copy index_fill index_put isfinite isinf isnan isneginf
    isposinf lgamma log10 log1p log2 logcumsumexp logical_not logit nan_to_num ones_like
    positive rad2deg rand_like randn_like real renorm resolve_conj resolve_neg rrelu scatter
    scatter_add sgn sign signbit sinc sinh softshrink sort argsort tan threshold trunc type_as
    zeros_like _log_softmax _cast_Float _cast_Double _cast_Int _cast_Long _cast_Half _cast_Byte
    fake_quantize_per_tensor_affine
"""
_SAME_RANK = """
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d adjoint
    avg_pool3d glu grid_sampler grid_sampler_2d grid_sampler_3d index_select mT
    max_pool1d_with_indices max_pool3d max_pool3d_with_indices moveaxis movedim narrow numpy_T
    pixel_unshuffle reflection_pad1d reflection_pad3d replication_pad1d replication_pad3d rot90
    swapaxes swapdims topk
"""
_PAIRWISE = """
    __and__ __or__ __xor__ addcdiv atan2 bitwise_and bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor float_power fmax fmin fmod heaviside hypot lerp logaddexp
    logaddexp2 logical_xor masked_fill nextafter true_divide xlogy
"""
_REDUCING = """
    all amax amin any argmax argmin frobenius_norm kthvalue linalg_vector_norm logsumexp max
    median min mode nanmedian nansum norm prod std var
"""
_QUANTIZED = (
    *("add_relu", "batch_norm2d", "hardswish", "instance_norm", "layer_norm", "leaky_relu"),
    *("linear", "linear_dynamic", "linear_relu", "mul_relu", "relu6", "sigmoid"),
)

RANKS: Final[Mapping[str, Callable[[Question], Answer]]] = {
    **dict.fromkeys(_names(_SAME_SIZES), same_sizes),
    **dict.fromkeys(_names(_SAME_RANK), same_rank),
    **dict.fromkeys((f"quantized::{name}" for name in _QUANTIZED), same_rank),
    **dict.fromkeys(("quantized::add", "quantized::mul"), pairwise),
    **dict.fromkeys(_names(_PAIRWISE), pairwise),
    **dict.fromkeys(_names(_REDUCING), reduction),
    **dict.fromkeys(_names("empty full ones rand randn zeros"), listed("size")),
    **dict.fromkeys(_names("new_empty new_full new_ones new_zeros"), listed("size")),
    **dict.fromkeys(_names("expand_as reshape_as view_as"), like("other")),
    **dict.fromkeys(_names("gru lstm rnn_relu rnn_tanh"), recurrent),
    **dict.fromkeys(_names("split split_with_sizes tensor_split unsafe_chunk"), parts),
    **dict.fromkeys(_names("dot scalar_tensor trace vdot"), fixed(0)),
    **dict.fromkeys(_names("addmv arange linspace logspace masked_select mv"), fixed(1)),
    **dict.fromkeys(_names("randperm ravel"), fixed(1)),
    **dict.fromkeys(_names("addbmm eye nonzero outer"), fixed(2)),
    **dict.fromkeys(_names("_upsample_nearest_exact1d baddbmm"), fixed(3)),
    **dict.fromkeys(_names("upsample_linear1d upsample_nearest1d"), fixed(3)),
    **dict.fromkeys(_names("_upsample_bicubic2d_aa _upsample_bilinear2d_aa"), fixed(4)),
    "aten::_upsample_nearest_exact2d": fixed(4),
    **dict.fromkeys(_names("upsample_nearest3d upsample_trilinear3d"), fixed(5)),
    "aten::_upsample_nearest_exact3d": fixed(5),
    "aten::col2im": more(1),
    "aten::diagonal": more(-1),
    "aten::einsum": einsum,
    "aten::gather": like("index"),
    "aten::im2col": more(-1),
    "aten::index": index,
    "aten::one_hot": more(1),
    "aten::repeat": listed("repeats"),
    "aten::scaled_dot_product_attention": attention,
    "aten::stack": stack,
    "aten::unbind": unbind,
    "aten::unflatten": unflatten,
    "aten::unfold": more(1),
    "prim::NumToTensor": fixed(0),
}
"""Rules by the name of the operator without its overload."""
