"""Converts a network for one of the peers, with the converter that the peer names for PyTorch.

    PYTHON -m peer_engines.converting PEER FOLDER NAME

PYTHON is that of the peers' environment, and FOLDER is one that peer_engines.networks has written.
Each peer's converter is imported only when it is used: they are slow to import, and one that does
not work must not stop the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from peer_engines.networks import calibration_images, make_network

OPSET = 18
_BIN = Path(sys.executable).parent
"""Where programs of the environment are."""


def convert_onnxruntime(folder: Path, name: str) -> None:
    """Writes `model.onnx`; an int8 network is quantised statically, per channel, as QDQ."""
    model, inputs = make_network(name)
    quantised, target = name.endswith("_int8"), folder / "model.onnx"
    exported = folder / "float.onnx" if quantised else target
    _export_onnx(model, inputs, exported)
    if quantised:
        _quantise_onnx(exported, target, inputs)


def _export_onnx(model: nn.Module, inputs: tuple[Tensor, ...], target: Path) -> None:
    names = (target.parent / "inputs.txt").read_text().split()
    torch.onnx.export(model, inputs, target, input_names=names, opset_version=OPSET, dynamo=False)


def _quantise_onnx(source: Path, target: Path, inputs: tuple[Tensor, ...]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.images: Iterator[np.ndarray] = iter(calibration_images(inputs))

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {"image": image}

    prepared = source.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared))
    quantize_static(
        str(prepared), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=True
    )


def convert_litert(folder: Path, name: str) -> None:
    """Writes `model.tflite`; an int8 network is quantised by ai-edge-quantizer's recipe."""
    import litert_torch

    model, inputs = make_network(name)
    quantised, target = name.endswith("_int8"), folder / "model.tflite"
    exported = folder / "float.tflite" if quantised else target
    litert_torch.convert(model, inputs).export(str(exported))
    if quantised:
        from ai_edge_quantizer import quantizer, recipe

        images = [{"args_0": image} for image in calibration_images(inputs)]
        made = quantizer.Quantizer(str(exported), recipe.static_wi8_ai8())
        measured = made.calibrate({"serving_default": images})
        made.quantize(measured).export_model(str(target), overwrite=True)


def convert_executorch(folder: Path, name: str) -> None:
    """Writes `model.pte` for the delegate of XNNPACK; an int8 network is quantised for it."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    model, inputs = make_network(name)
    program = torch.export.export(model, inputs)
    if name.endswith("_int8"):
        program = torch.export.export(_quantise_for_xnnpack(program.module(), inputs), inputs)
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    (folder / "model.pte").write_bytes(lowered.to_executorch().buffer)


def _quantise_for_xnnpack(module: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    chosen = xnnpack_quantizer.get_symmetric_quantization_config(is_per_channel=True)
    prepared = prepare_pt2e(module, xnnpack_quantizer.XNNPACKQuantizer().set_global(chosen))
    for image in calibration_images(inputs):
        prepared(torch.from_numpy(image))
    return convert_pt2e(prepared)


def convert_ncnn(folder: Path, name: str) -> None:
    """Writes `model.ncnn.param` and `.bin` with pnnx, weights as float32."""
    if name.endswith("_int8"):
        raise SystemExit("the wheels of ncnn have no tools that quantise")
    model, inputs = make_network(name)
    traced = folder / "model.pt"
    torch.jit.trace(model, inputs).save(str(traced))
    kinds = {torch.float32: "f32", torch.int64: "i64"}
    shapes = ",".join(f"[{','.join(map(str, x.shape))}]{kinds[x.dtype]}" for x in inputs)
    _call(folder, str(_BIN / "pnnx"), traced.name, f"inputshape={shapes}", "fp16=0")


def convert_mnn(folder: Path, name: str) -> None:
    """Writes `model.mnn` from an ONNX file; an int8 network is quantised with MNN's tool."""
    model, inputs = make_network(name)
    quantised = name.endswith("_int8")
    source, target = folder / "mnn.onnx", folder / ("float.mnn" if quantised else "model.mnn")
    _export_onnx(model, inputs, source)
    options = ("-f", "ONNX", "--modelFile", source.name, "--MNNModel", target.name)
    _call(folder, str(_BIN / "mnnconvert"), *options, "--bizCode", "peers")
    if quantised:
        _quantise_mnn(folder, inputs)


def _quantise_mnn(folder: Path, inputs: tuple[Tensor, ...]) -> None:
    images = folder / "mnn-calibration"
    for index, image in enumerate(calibration_images(inputs)):
        (images / str(index)).mkdir(parents=True, exist_ok=True)
        lines = " ".join(f"{value:.7g}" for value in image.ravel())
        (images / str(index) / "image.txt").write_text(lines)
        about = {"inputs": [{"name": "image", "shape": list(image.shape)}], "outputs": []}
        (images / str(index) / "input.json").write_text(json.dumps(about))
    settings = {
        "path": images.name,
        "used_sample_num": len(calibration_images(inputs)),
        "input_type": "sequence",
        "feature_quantize_method": "KL",
        "weight_quantize_method": "MAX_ABS",
        "batch_size": 1,
    }
    (folder / "mnnquant.json").write_text(json.dumps(settings))
    _call(folder, str(_BIN / "mnnquant"), "float.mnn", "model.mnn", "mnnquant.json")


def _call(folder: Path, *command: str) -> None:
    # MNN's tools would install a package to send reports with, into the first environment in PATH.
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {(done.stdout + done.stderr)[-2000:]}")


CONVERTERS: dict[str, Callable[[Path, str], None]] = {
    "onnxruntime": convert_onnxruntime,
    "litert": convert_litert,
    "executorch": convert_executorch,
    "ncnn": convert_ncnn,
    "mnn": convert_mnn,
}


if __name__ == "__main__":
    CONVERTERS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
