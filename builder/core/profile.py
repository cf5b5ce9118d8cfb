"""What a runtime is optimised for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Profile(StrEnum):
    """Sets of compiler and linker options; builder/native/profiles.toml says which."""

    SIZE = "size"
    SPEED = "speed"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """How the objects of a build are compiled."""

    profile: Profile = Profile.SIZE
    strip_error_messages: bool = False
    """Failed checks name their condition and file only, as upstream's STRIP_ERROR_MESSAGES does."""

    @property
    def name(self) -> str:
        """Names the folder of its objects."""
        return f"{self.profile}-terse" if self.strip_error_messages else str(self.profile)
