"""What each operator makes of shapes and dtypes.

A rule is a function of a `Question`; it returns the description of the result, or a list of
descriptions for an operator with several results. The description of a list of tensors is what
all its items share. None stands for what is not known; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from builder.graph import shape_elements as elements
from builder.graph import shape_layers as layers
from builder.graph import shape_views as views
from builder.graph.shape_questions import Answer, Question
from builder.graph.shape_ranks import RANKS

# Shape and dtype of the result are those of the first argument.
_UNARY = (
    "neg relu relu6 hardtanh leaky_relu hardswish hardsigmoid silu"
    " gelu elu selu celu mish prelu softplus dropout feature_dropout alpha_dropout"
    " feature_alpha_dropout batch_norm instance_norm group_norm layer_norm contiguous detach clone"
    " fill zero alias triu tril roll flip floor ceil round channel_shuffle"
)

# An int tensor gives floats of the default dtype.
_FLOAT_UNARY = "sigmoid tanh exp log sqrt rsqrt sin cos erf reciprocal log_sigmoid"

# Shapes are broadcast, and dtypes promoted.
_BINARY = "_add_relu add sub rsub mul pow maximum minimum remainder floor_divide"

# The result has bools, whatever is compared.
_COMPARING = "eq ne lt le gt ge logical_and logical_or"

RULES: Final[Mapping[str, Callable[[Question], Answer]]] = {
    **RANKS,
    **{f"aten::{name}": elements.keep for name in _UNARY.split()},
    "aten::abs": elements.keep_reals,
    "aten::square": elements.keep_reals,
    **{f"aten::{name}": elements.make_floats for name in _FLOAT_UNARY.split()},
    **{f"aten::{name}": elements.elementwise for name in _BINARY.split()},
    **{f"aten::{name}": elements.comparison for name in _COMPARING.split()},
    "aten::_adaptive_avg_pool2d": layers.adaptive_pooling(2),
    "aten::_convolution": layers.any_convolution,
    "aten::_convolution_mode": layers.named_padding,
    "aten::_native_multi_head_attention": elements.keep,
    "aten::_softmax": elements.keep,
    "aten::adaptive_avg_pool1d": layers.adaptive_pooling(1),
    "aten::adaptive_avg_pool2d": layers.adaptive_pooling(2),
    "aten::addcmul": elements.ternary,
    "aten::addmm": layers.addmm,
    "aten::avg_pool1d": layers.pooling(1),
    "aten::avg_pool2d": layers.pooling(2),
    "aten::bmm": layers.matmul,
    "aten::cat": views.concatenate,
    "aten::concat": views.concatenate,
    "aten::chunk": views.chunk,
    "aten::clamp": elements.clamp,
    "aten::clamp_max": elements.clamp,
    "aten::clamp_min": elements.clamp,
    "aten::constant_pad_nd": views.pad,
    "aten::conv1d": layers.convolution(1),
    "aten::conv2d": layers.convolution(2),
    "aten::conv3d": layers.convolution(3),
    "aten::conv_transpose1d": layers.convolution(1, transposed=True),
    "aten::conv_transpose2d": layers.convolution(2, transposed=True),
    "aten::conv_transpose3d": layers.convolution(3, transposed=True),
    "aten::convolution": layers.any_convolution,
    "aten::dequantize": elements.dequantize,
    "aten::div": elements.division,
    "aten::embedding": layers.embedding,
    "aten::expand": views.expand,
    "aten::flatten": views.flatten,
    "aten::linear": layers.linear,
    "aten::log_softmax": elements.softmax,
    "aten::matmul": layers.matmul,
    "aten::max_pool1d": layers.pooling(1),
    "aten::max_pool2d": layers.pooling(2),
    "aten::max_pool2d_with_indices": layers.pooling(2, indices=True),
    "aten::mean": elements.reduce,
    "aten::mm": layers.matmul,
    "aten::pad": views.pad,
    "aten::permute": views.permute,
    "aten::pixel_shuffle": layers.shuffle_pixels,
    "aten::quantize_per_tensor": elements.quantize,
    "aten::reflection_pad2d": views.pad,
    "aten::replication_pad2d": views.pad,
    "aten::reshape": views.reshape,
    "aten::select": views.select,
    "aten::slice": views.slice_,
    "aten::softmax": elements.softmax,
    "aten::squeeze": views.squeeze,
    "aten::sum": elements.reduce,
    "aten::t": views.turn,
    "aten::to": elements.to_dtype,
    "aten::transpose": views.transpose,
    "aten::unsqueeze": views.unsqueeze,
    "aten::upsample_bicubic2d": layers.resize(2),
    "aten::upsample_bilinear2d": layers.resize(2),
    "aten::upsample_nearest2d": layers.resize(2),
    "aten::view": views.reshape,
    "aten::where": elements.where,
    "prepacked::conv2d_clamp_run": layers.prepacked_convolution,
    "prepacked::conv2d_transpose_clamp_run": layers.prepacked_convolution,
    "prepacked::linear_clamp_run": layers.prepacked_linear,
    "quantized::conv2d": layers.quantized_convolution,
    "quantized::conv2d_relu": layers.quantized_convolution,
}
