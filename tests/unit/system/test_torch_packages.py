import sys
from pathlib import Path

import pytest

from builder.system import torch_packages
from builder.system.python_packages import InstalledPackage
from builder.system.torch_packages import how_to_install

DEBIANS = "/usr/lib/python3/dist-packages"


@pytest.fixture
def installed(monkeypatch):
    """Says which torch is there: its version and its folder."""
    found = {"torch": None}

    def install(version: str, folder: str) -> None:
        found["torch"] = InstalledPackage("torch", version, Path(folder) / "torch")

    monkeypatch.setattr(torch_packages, "find_package", found.get)
    monkeypatch.setattr(sys, "path", ["/home/me/venv/lib/python3.11/site-packages"])
    return install


@pytest.mark.parametrize("package", ["torch", "torchvision"])
def test_an_environment_that_does_not_see_debians_packages_gets_wheels(installed, package):
    assert how_to_install(package) == "pip install torch torchvision"


def test_debians_packages_are_named_where_they_can_be_used(installed):
    sys.path.append(DEBIANS)
    assert how_to_install("torch").startswith("apt install python3-torch python3-torchvision")


def test_torchvision_fits_the_torch_that_is_there(installed):
    installed("2.15.0+cu132", "/home/me/venv/lib/python3.11/site-packages")
    assert how_to_install("torchvision") == "pip install --upgrade torchvision torch==2.15.0"
    installed("1.13.1", DEBIANS)
    assert how_to_install("torchvision") == "apt install python3-torchvision"
