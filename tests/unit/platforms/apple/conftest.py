from __future__ import annotations

import pytest
from apple_samples import make_package


@pytest.fixture
def package(tmp_path):
    return make_package(tmp_path / "work")
