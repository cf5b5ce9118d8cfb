from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "data" / "models"
RECORDED: dict[str, list[str]] = json.loads((DATA / "operators.json").read_text())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "recorded_name" in metafunc.fixturenames:
        metafunc.parametrize("recorded_name", sorted(RECORDED))


@pytest.fixture
def data() -> Path:
    return DATA


@pytest.fixture
def recorded_operators() -> dict[str, list[str]]:
    return RECORDED


def pack(records: Mapping[str, bytes], *, method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in records.items():
            archive.writestr(f"model/{name}", content)
    return stream.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}


@pytest.fixture
def write_zip(tmp_path: Path) -> Callable[..., Path]:
    """Writes a copy of conv.ptl with some records replaced, or left out when None."""

    def write(records: Mapping[str, bytes | None], *, method: int = zipfile.ZIP_STORED) -> Path:
        changed: dict[str, bytes | None] = {**unpack((DATA / "conv.ptl").read_bytes()), **records}
        path = tmp_path / "changed model.ptl"
        path.write_bytes(pack({n: c for n, c in changed.items() if c is not None}, method=method))
        return path

    return write
