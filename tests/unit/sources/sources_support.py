"""Small archives and pins that the tests of this folder share."""

import hashlib
import io
import tarfile

from builder.core.sources import SourceLock, SourcePin
from builder.sources.providers import Unavailable, deliver_archive


def make_archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def make_pin(archive, **changes):
    fields = {
        "name": "thing",
        "path": ".",
        "version": "1.0",
        "url": "https://example.org/thing",
        "commit": "a" * 40,
        "package": "thing",
        "file": archive.name,
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "strip": 1,
        "licence": "MIT",
        "size": archive.stat().st_size,
        "unpacked": 100,
    }
    return SourcePin(**{**fields, **changes})


def make_lock(*pins, patches=()):
    return SourceLock(version="9.9", pins=pins, patches=tuple(patches))


class ReadyProvider:
    """Delivers archives that lie ready; counts how often it was asked."""

    name = "ready"

    def __init__(self, archives):
        self.archives = archives
        self.asked = []

    def deliver(self, pin, on_bytes):
        self.asked.append(pin.name)
        if pin.name not in self.archives:
            raise Unavailable(f"no {pin.name} here")
        on_bytes(pin.size)
        return deliver_archive(pin, self.archives[pin.name], self.name)


class Notes:
    """A Progress that keeps what it is told."""

    def __init__(self):
        self.notes = []
        self.advances = []

    def step(self, text):
        self.notes.append(text)

    def note(self, text):
        self.notes.append(text)

    def advance(self, done, total, what):
        self.advances.append((done, total, what))
