"""The file of a model of the zoo that torch's own optimiser writes, as apps may have it."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import torch
from torch.utils.mobile_optimizer import MobileOptimizerType, optimize_for_mobile

from builder.export.capabilities import probe_torch
from builder.system.reference_cases import read_reference, write_reference
from zoo_models.rows import FOLDER, Entry
from zoo_models.trial import earlier_file, run_builder

COMMAND = "optimize_for_mobile"
_REFERENCE = ".reference.safetensors"


def make_earlier(entry: Entry, work: Path) -> Path | None:
    """Writes the file beside a reference case; returns None if torch cannot do it.

    Batch norms are folded by `torch.jit.freeze`: the pass of `optimize_for_mobile` that does the
    same loses biases (https://github.com/pytorch/pytorch/issues/76807).
    """
    if not probe_torch().xnnpack:
        return None
    made = earlier_file(entry, work).resolve()
    made.parent.mkdir(exist_ok=True)
    plain = made.with_name(f"{entry.name}.plain.ptl")
    run_builder(
        "export", entry.source, *entry.options, "--no-optimize", "-o", plain, "--json", cwd=FOLDER
    )
    frozen = torch.jit.freeze(torch.jit.load(str(plain)).eval())
    optimised = optimize_for_mobile(frozen, {MobileOptimizerType.CONV_BN_FUSION})
    optimised._save_for_lite_interpreter(str(made))  # noqa: SLF001 - torch has no public name
    reference = Path(f"{plain}{_REFERENCE}")
    # A reference case belongs to one file, which it names by its digest.
    case = replace(read_reference(reference), model_sha256=sha256(made.read_bytes()).hexdigest())
    write_reference(Path(f"{made}{_REFERENCE}"), case)
    plain.unlink()
    reference.unlink()
    return made
