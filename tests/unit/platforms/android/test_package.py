from __future__ import annotations

import pytest

from builder.platforms.android.package import Coordinates, default_version


def test_coordinates_name_the_published_artifact_and_its_folder():
    coordinates = Coordinates(version=default_version("2.6.0"))
    assert str(coordinates) == "org.pytorch:pytorch_android_lite:2.6.0-1"
    assert coordinates.folder == "org/pytorch/pytorch_android_lite"
    assert coordinates.stem == "pytorch_android_lite-2.6.0-1"


@pytest.mark.parametrize("text", ["", "a/b", "..", "a..b", ".a", "a.", "a b", "é", "a\n", "a:b"])
@pytest.mark.parametrize("part", ["group", "artifact", "version"])
def test_what_cannot_be_a_folder_of_a_repository_is_refused(part, text):
    with pytest.raises(ValueError, match=f"cannot be the {part}"):
        Coordinates(**{"version": "1", part: text})


def test_a_snapshot_is_refused():
    with pytest.raises(ValueError, match="snapshot"):
        Coordinates(version="1-SNAPSHOT")
