"""What a user chooses of the folder of a runtime for Linux."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LinuxOptions:
    """What a user chooses of a runtime for Linux; the rest follows from what is built."""

    static: bool = False
    """Also write the static library lib/libtorchlite.a, for programs that link the runtime in."""
    jni: bool = False
    """Also write lib/libpytorch_jni_lite.so and share/java/torchlite.jar, for a JVM on this system,
    e.g. for the unit tests of an app; needs a JDK."""
