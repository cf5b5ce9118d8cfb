"""How to install torch and torchvision in the Python environment that runs builder.

No remedy replaces a torch that is there: other programs may need it.
"""

from __future__ import annotations

import sys

from builder.system.python_packages import find_package

_DEBIANS = "/usr/lib/python3/dist-packages"
"""Where Debian's packages are; an environment sees them if it was made with system packages."""
OTHER_ENVIRONMENT = (
    "use another torch in a virtual environment of its own, or save the model with it: "
    'torch.export.save(torch.export.export(model, inputs), "model.pt2"); builder exports the .pt2 '
    "file without torch"
)
"""For an installed torch that cannot do an export."""


def how_to_install(package: str) -> str:
    """Returns how to install `torch` or `torchvision`, which fits what is installed already."""
    torch = find_package("torch") if package == "torchvision" else None
    if torch is None:
        return _APT if _DEBIANS in sys.path else "pip install torch torchvision"
    if torch.folder.is_relative_to(_DEBIANS):
        return "apt install python3-torchvision"
    # pip then chooses the torchvision that was built for this torch.
    version = torch.version.partition("+")[0]
    return f"pip install --upgrade torchvision torch=={version}"


_APT = "apt install python3-torch python3-torchvision, or pip install torch torchvision"
