from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.errors import ModelError
from builder.lite.foreign_formats import name_foreign
from builder.lite.read import open_model, refuse_foreign

MODELS = Path(__file__).parents[2] / "data/models"
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
PROGRAMS = "builder reads models of PyTorch"


@pytest.mark.parametrize(
    ("name", "content", "kind", "hint"),
    [
        ("m.onnx", b"\x08\x07\x12\x07pytorch", "an ONNX model", PROGRAMS),
        ("m.mlmodel", b"\x08\x04\x12\x10", "a Core ML model", PROGRAMS),
        ("m", b"\x08\x04\x12\x10", "an ONNX, Core ML or TensorFlow model", PROGRAMS),
        ("m.tflite", b"\x1c\0\0\0TFL3" + bytes(8), "a TensorFlow Lite model", PROGRAMS),
        ("m.pte", b"\x1c\0\0\0ET12" + bytes(8), "an ExecuTorch program", PROGRAMS),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(8), "an HDF5 file", PROGRAMS),
        ("m.gguf", b"GGUF\3\0\0\0", "a GGUF file", PROGRAMS),
        ("m.param", b"7767517\n3 3\n", "an ncnn model", PROGRAMS),
        (
            "m.safetensors",
            len(HEADER).to_bytes(8, "little") + HEADER + bytes(4),
            "a safetensors file",
            "weights=",
        ),
        ("m.pt", b"\x80\x02\x8a\x0al\xfc\x9cF", "a pickle in PyTorch's old format", "weights="),
    ],
)
def test_files_of_other_programs_are_named(
    tmp_path: Path, name: str, content: bytes, kind: str, hint: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"it is {kind}") as caught:
        refuse_foreign(path)
    assert hint in (caught.value.hint or "")
    assert "package.module:factory" in (caught.value.hint or "")


def test_weights_are_named_and_are_not_a_program() -> None:
    with pytest.raises(ModelError, match=r"it is a file of torch\.save") as caught:
        refuse_foreign(MODELS / "state_dict.pt")
    assert "weights=" in (caught.value.hint or "")


def test_python_code_is_named_with_its_module(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text("def make(): ...\n")
    with pytest.raises(ModelError, match="is Python code") as caught:
        refuse_foreign(path)
    assert "nets:function" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"hello", "first bytes are 68 65"),
        (b"PK\3\4" + bytes(40), "damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        refuse_foreign(path)


def test_a_file_of_the_system_without_a_size_is_not_read() -> None:
    """Reading /proc/kmsg, which has none either, would wait for the next message."""
    assert Path("/proc/version").read_bytes()
    with pytest.raises(ModelError, match="the file is empty"), open_model(Path("/proc/version")):
        pass
    with pytest.raises(ModelError, match="the file is empty"):
        refuse_foreign(Path("/proc/version"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        refuse_foreign(tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["control.pt", "control.ptl", "control_flatbuffer.ptl"])
def test_models_of_pytorch_pass(name: str) -> None:
    refuse_foreign(MODELS / name)


def test_a_length_alone_makes_no_safetensors() -> None:
    assert name_foreign((1 << 62).to_bytes(8, "little") + b"{", "") == ""
    assert name_foreign(bytes(16), "") == ""
