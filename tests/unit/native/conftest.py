from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def data_folder() -> Path:
    return Path(__file__).parents[3] / "third_party"
