"""Folders laid out as SDKs of Apple's are, as far as builder looks."""

from __future__ import annotations

import json


def make_sdk(root, sdk, *, version="17.2", archs=("arm64",), oldest="12.0"):
    root.mkdir(parents=True)
    supported = {
        "Archs": list(archs),
        "MinimumDeploymentTarget": oldest,
        "MaximumDeploymentTarget": f"{version}.99",
    }
    settings = {"Version": version, "SupportedTargets": {sdk: supported}}
    (root / "SDKSettings.json").write_text(json.dumps(settings))
    return root


def add_frameworks(root, *names):
    """Adds frameworks and Objective-C's headers to the SDK at `root`."""
    for name in names:
        folder = root / f"System/Library/Frameworks/{name}.framework"
        (folder / "Headers").mkdir(parents=True)
        (folder / f"{name}.tbd").touch()
    (root / "usr/include/objc").mkdir(parents=True)
    (root / "usr/include/objc/objc.h").touch()
