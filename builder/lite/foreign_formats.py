"""Names files of other programs by their first bytes, and says what a user can do with them."""

from __future__ import annotations

from pathlib import Path

from builder.errors import Hint, Run, Use

HEAD = 16
"""Bytes of a file that its name is made of."""
SAVED = "a file of torch.save (a state dict or a whole Python module)"
_PICKLE = "a pickle in PyTorch's old format (a state dict or a whole Python module)"
_SAFETENSORS = "a safetensors file, which has weights only"
_WEIGHTS = frozenset({SAVED, _PICKLE, _SAFETENSORS})
_AT_0 = {
    b"\x80": _PICKLE,
    b"GGUF": "a GGUF file",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes it",
    b"7767517\n": "an ncnn model",
}
"""First bytes -> what the file is."""
_AT_4 = {b"ET": "an ExecuTorch program", b"TFL3": "a TensorFlow Lite model"}
"""The identifier of a flatbuffer, which stands at byte 4 -> what the file is."""
_PROTOBUF = b"\x08"
"""The first field of these formats is a number, the version."""
_PROTOBUFS = {".mlmodel": "a Core ML model", ".onnx": "an ONNX model", ".pb": "a TensorFlow model"}
_LONGEST_HEADER = 100_000_000
"""Bytes of the header of a safetensors file, at most (its documentation)."""
_OUTPUT = Use("output", "model.ptl")
PYTHON_HINT = Hint(
    "export the model from its Python code: ", Run("export", ("package.module:factory", _OUTPUT))
)


def name_foreign(head: bytes, suffix: str) -> str:
    """Returns what a file is that begins with `head`; empty if that is unknown.

    `suffix`: the end of the file's name, which tells apart formats that begin alike.
    """
    for names, start in ((_AT_4, 4), (_AT_0, 0)):
        for magic, name in names.items():
            if head.startswith(magic, start):
                return name
    if head.startswith(_PROTOBUF):
        return _PROTOBUFS.get(suffix, "an ONNX, Core ML or TensorFlow model")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_HEADER:
        return _SAFETENSORS
    return ""


def advise(kind: str, path: Path) -> Hint:
    """Returns what to do with a file of another program, as `name_foreign` calls it."""
    if kind in _WEIGHTS:
        command = Run("export", ("package.module:factory", Use("weights", path), _OUTPUT))
        return Hint(
            "write a function that returns the model, and give it the state dict: ", command
        )
    return Hint(
        "builder reads models of PyTorch. ",
        "If the file was made of one, export that model from its Python code: ",
        Run("export", ("package.module:factory", _OUTPUT)),
    )


def advise_python(path: Path) -> Hint:
    """Returns how the model that a file of Python code makes is exported."""
    module = Run("export", (f"{path.stem}:function", Use("output", f"{path.stem}.ptl")))
    return Hint("name a function in it that returns the model, from the file's folder: ", module)
