"""Models for fuzzing a runtime, and the inputs that each is called with.

The committed models of tests/data need no torch. `export_models` adds some that are made here: more
prepacked operators, attributes that change, nested values, methods that call one another.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
COMMITTED = TESTS / "data/models"
_CONTROL = """\
forward s one_and_two t float32 1 3
lengths l 2 s a s two_words
decide t float32 1 4
"""
INPUTS = {
    "conv": "forward t float32 4 1 3 8 8",
    "quantised": "forward t float32 4 2 3 8 8",
    "lstm": "forward t float32 3 1 5 4",
    "control": _CONTROL,
    "hooked": "forward t float32 2 2 3",
    "mobile": "forward t float32 4 1 3 16 16",
    "upscaling": "forward t float32 4 1 3 4 4",
    "dynamic": "forward t float32 2 2 8",
    "stateful": "forward t float32 1 4 i 2",
    "written": "forward t float32 2 2 3",
    "asking": "forward t float32 2 2 3",
    "loops": "forward t float32 2 3 8",
    "control_flow": "forward t float32 2 3 8",
    "identity": "forward t float32 2 3 8",
    "scaling": "forward t float32 2 3 8",
    "nested": (
        "forward l 1 u 2 t float32 2 2 3 t float32 2 3 2"
        " d 2 one t float32 1 2 another_key t int64 1 3 f 0.5 i 2"
    ),
    "everything": (
        "forward d 2 first l 2 t float32 1 2 t float32 1 2 second l 1 t float32 1 2"
        " s the_ n u 2 b 1 f 3 l 2 f 0.25 f 0.5"
    ),
}
"""Name of a model -> the calls, as tests/fuzz/host.c reads them."""


EXTRA_FILES = {"notes.txt": "kept beside the model"}
"""What the exported models have beside them; host.c asks for it."""
NOT_OWN = frozenset({"quantised", "dynamic", "everything"})
"""Models with operators that builder's own core lacks; it reads no flatbuffers either."""


@dataclass(frozen=True)
class Target:
    """A model that is mutated."""

    name: str
    path: Path

    @property
    def inputs(self) -> str:
        """The calls for this model; its flatbuffer form takes the same."""
        return INPUTS[self.name.removesuffix("_flatbuffer")]

    @property
    def is_flatbuffer(self) -> bool:
        """Whether it is no zip archive."""
        return self.path.read_bytes()[4:8] == b"PTMF"


def list_committed() -> list[Target]:
    """Returns the models of tests/data that a runtime for them all can run."""
    names = ("conv", "quantised", "lstm", "control", "hooked")
    return [
        Target(f"{name}{form}", COMMITTED / f"{name}{form}.ptl")
        for name in names
        for form in ("", "_flatbuffer")
    ]


def export_models(folder: Path) -> list[Target]:
    """Writes the models that torch makes into `folder`, as zip and as flatbuffer."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, module in make_modules().items():
        for flatbuffer in (False, True):
            target = Target(
                f"{name}{'_flatbuffer' * flatbuffer}",
                folder / f"{name}{'_flatbuffer' * flatbuffer}.ptl",
            )
            module._save_for_lite_interpreter(
                str(target.path), _extra_files=dict(EXTRA_FILES), _use_flatbuffer=flatbuffer
            )
            found.append(target)
    return found


def make_modules() -> dict[str, Any]:
    """Returns the TorchScript modules by name."""
    import torch
    from torch.utils.mobile_optimizer import optimize_for_mobile

    native = _import("native_models", TESTS / "native/models.py")
    classes = _import("fuzz_modules", TESTS / "fuzz/modules.py")
    torch.manual_seed(3)
    torch.backends.quantized.engine = "qnnpack"
    mobile = torch.jit.trace(classes.Mobile().eval(), torch.zeros(1, 3, 16, 16))
    upscaling = torch.jit.trace(classes.Upscaling().eval(), torch.zeros(1, 3, 4, 4))
    dynamic = torch.ao.quantization.quantize_dynamic(
        classes.Dynamic().eval(), {torch.nn.Linear}, dtype=torch.qint8
    )
    loops = native.control_flow()
    loops.linear = classes.Shift()
    return {
        "mobile": optimize_for_mobile(mobile),
        "upscaling": optimize_for_mobile(upscaling),
        "dynamic": torch.jit.script(dynamic),
        "stateful": torch.jit.script(classes.Stateful().eval()),
        "written": torch.jit.script(classes.Written().eval()),
        "asking": torch.jit.script(classes.Asking().eval()),
        "control_flow": torch.jit.script(native.control_flow()),
        "loops": torch.jit.script(loops),
        "nested": torch.jit.script(native.nested()),
        "everything": torch.jit.script(native.everything()),
    }


def _import(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
