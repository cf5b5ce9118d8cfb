"""Writes the software bill of materials of a package: CycloneDX 1.6, as JSON.

The same package gives the same bytes: the document has no time, and its serial number is a digest
of everything else (https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from builder.core.runtime_manifest import render_json
from builder.packaging.sbom_subject import PackagedFile, Subject

SBOM = "sbom.cdx.json"
"""A file name that tools recognise (https://github.com/CycloneDX/specification, file names)."""
_SERIALS = uuid.UUID("5b9ac3f0-6a43-5d6b-9c39-c1b9f4e4d3a7")
"""Namespace of the serial numbers (RFC 9562, version 5)."""


def render_sbom(subject: Subject, files: Iterable[PackagedFile]) -> str:
    """Returns the bill of materials of a package with `files`, with sorted keys and a newline."""
    # cyclonedx takes a tenth of a second to import; commands that only read packages do not pay it.
    from builder.packaging.cyclonedx_bom import render_bom

    document: dict[str, Any] = json.loads(render_bom(subject, tuple(files)))
    # The library adds the time and a random serial number, which would change the bytes.
    document["metadata"].pop("timestamp", None)
    # The digest is of a document without a serial number.
    document.pop("serialNumber", None)
    document["serialNumber"] = uuid.uuid5(_SERIALS, render_json(document)).urn
    return render_json(document)
