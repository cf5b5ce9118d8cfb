"""How each engine loads a network and calls it, through its own Python package or C API.

An engine is a function that imports what it needs to run the network in a folder, and returns
another: the latter loads the network for a number of threads, and returns what runs it, arrays in,
arrays out. Options are those that the first example of a documentation has, and the number of
threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

Arrays: TypeAlias = Sequence[np.ndarray]
Forward: TypeAlias = Callable[[Arrays], Arrays]
Load: TypeAlias = Callable[[int], Forward]

DTYPES = {np.dtype(np.float32): 6, np.dtype(np.int64): 4}
"""Codes of torchlite.h."""
BUILDER_LIBRARY = "runtime/*/lib/libtorchlite.so"
"""Where the runtime is in a folder."""


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("dtype", ctypes.c_int),
        ("dims", ctypes.c_int32),
        ("sizes", ctypes.POINTER(ctypes.c_int64)),
        ("data", ctypes.c_void_p),
    )


def import_builder(folder: Path) -> Load:
    """The runtime of builder, by its C API."""
    library = ctypes.CDLL(str(next(folder.glob(BUILDER_LIBRARY))))
    library.torchlite_error.restype = ctypes.c_char_p
    library.torchlite_result_count.restype = ctypes.c_size_t
    library.torchlite_result_free.restype = None

    def load(threads: int) -> Forward:
        def check(status: int) -> None:
            if status:
                raise RuntimeError(library.torchlite_error().decode())

        check(library.torchlite_set_threads(threads))
        module = ctypes.c_void_p()
        check(library.torchlite_load(str(folder / "builder.ptl").encode(), ctypes.byref(module)))

        def forward(inputs: Arrays) -> Arrays:
            tensors = (_Tensor * len(inputs))(*map(_describe, inputs))
            result = ctypes.c_void_p()
            count = ctypes.c_size_t(len(inputs))
            check(library.torchlite_forward(module, tensors, count, ctypes.byref(result)))
            outputs = [
                _read(library, result, i) for i in range(library.torchlite_result_count(result))
            ]
            library.torchlite_result_free(result)
            return outputs

        return forward

    return load


def _describe(array: np.ndarray) -> _Tensor:
    sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
    return _Tensor(DTYPES[array.dtype], array.ndim, sizes, array.ctypes.data)


def _read(library: ctypes.CDLL, result: ctypes.c_void_p, index: int) -> np.ndarray:
    tensor = _Tensor()
    library.torchlite_result_tensor(result, ctypes.c_size_t(index), ctypes.byref(tensor))
    shape = tuple(tensor.sizes[i] for i in range(tensor.dims))
    data = ctypes.cast(tensor.data, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(data, shape).copy()


def import_onnxruntime(folder: Path) -> Load:
    """ONNX Runtime's provider for CPUs."""
    import onnxruntime

    def load(threads: int) -> Forward:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(
            folder / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        names = [value.name for value in session.get_inputs()]
        return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))

    return load


def import_litert(folder: Path) -> Load:
    """LiteRT's interpreter, with its delegate for XNNPACK, which it takes by itself."""
    from ai_edge_litert.interpreter import Interpreter

    def load(threads: int) -> Forward:
        interpreter = Interpreter(str(folder / "model.tflite"), num_threads=threads)
        interpreter.allocate_tensors()
        places = sorted(interpreter.get_input_details(), key=lambda place: place["name"])
        results = sorted(interpreter.get_output_details(), key=lambda place: place["name"])

        def forward(inputs: Arrays) -> Arrays:
            for place, array in zip(places, inputs, strict=True):
                interpreter.set_tensor(place["index"], array.astype(place["dtype"], copy=False))
            interpreter.invoke()
            return [interpreter.get_tensor(place["index"]) for place in results]

        return forward

    return load


def import_executorch(folder: Path) -> Load:
    """ExecuTorch's runtime; its pool of threads is the process's."""
    import torch
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    def load(threads: int) -> Forward:
        portable_lib._unsafe_reset_threadpool(threads)  # noqa: SLF001 - nothing public sets it
        program = Runtime.get().load_program(folder / "model.pte")
        method = program.load_method("forward")
        assert method is not None
        return lambda inputs: [
            x.numpy() for x in method.execute(list(map(torch.from_numpy, inputs)))
        ]

    return load


def import_ncnn(folder: Path) -> Load:
    """The engine ncnn, on CPUs."""
    import ncnn

    def load(threads: int) -> Forward:
        net = ncnn.Net()
        net.opt.use_vulkan_compute = False
        net.opt.num_threads = threads
        network, weights = folder / "model.ncnn.param", folder / "model.ncnn.bin"
        if net.load_param(str(network)) or net.load_model(str(weights)):
            raise RuntimeError("ncnn does not load what pnnx has written")

        def forward(inputs: Arrays) -> Arrays:
            extractor = net.create_extractor()
            for name, array in zip(net.input_names(), inputs, strict=True):
                extractor.input(name, ncnn.Mat(_without_batch(array)))
            return [np.array(extractor.extract(name)[1]) for name in net.output_names()]

        return forward

    return load


def _without_batch(array: np.ndarray) -> np.ndarray:
    """Returns what ncnn takes: no batches, and numbers of 32 bits."""
    return array[0] if array.dtype == np.float32 else array[0].astype(np.int32)


def import_mnn(folder: Path) -> Load:
    """MNN on CPUs, in float32."""
    from MNN import expr, nn

    def load(threads: int) -> Forward:
        config = {"backend": "CPU", "precision": "high", "numThread": threads}
        manager = nn.create_runtime_manager((config,))
        path, names = str(folder / "model.mnn"), (folder / "inputs.txt").read_text().split()
        module = nn.load_module_from_file(path, names, [], runtime_manager=manager)

        def forward(inputs: Arrays) -> Arrays:
            outputs = module.forward([_to_mnn(array) for array in inputs])
            listed = outputs if isinstance(outputs, list) else [outputs]
            return [expr.convert(x, expr.NCHW).read() for x in listed]

        return forward

    return load


def _to_mnn(array: np.ndarray) -> object:
    from MNN import expr

    whole = array.dtype == np.int64
    variable = expr.placeholder(list(array.shape), expr.NCHW, expr.int if whole else expr.float)
    variable.write(array.astype(np.int32) if whole else array)
    return variable


ENGINES: dict[str, Callable[[Path], Load]] = {
    "builder": import_builder,
    "onnxruntime": import_onnxruntime,
    "litert": import_litert,
    "executorch": import_executorch,
    "ncnn": import_ncnn,
    "mnn": import_mnn,
}
"""Name -> what imports it."""
