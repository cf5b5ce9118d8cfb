"""Unit tests start no process and open no connection; what needs one belongs in tests/contract."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest


class EscapeError(BaseException):
    """Derives from BaseException, so that no `except Exception` of a test or a library hides it."""


@pytest.fixture
def umask() -> Iterator[None]:
    """The usual one, whatever the tests are run with."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="module", autouse=True)
def _no_escape() -> Iterator[None]:
    def refuse(*arguments: object, **_: object) -> None:
        raise EscapeError(f"a unit test wants out: {arguments[1:]!r:.200}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", refuse)
        patch.setattr(os, "system", refuse)
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
