"""Which variables of the environment reach the tools that make a build.

Compilers, linkers, CMake, code generators and javac read many variables, such as CPATH, SDKROOT or
SOURCE_DATE_EPOCH, and some of these change what a tool writes. A plan's key cannot cover them all,
and new releases of the tools read more. So a tool gets only the variables that are listed here.
"""

from __future__ import annotations

from collections.abc import Mapping

_KEPT = frozenset(
    (
        # Where programs, their libraries and their settings are, and who runs them.
        *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD", "HOME", "USER", "LOGNAME"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMPDIR", "TMP", "TEMP"),
        # What builder itself reads: the versions of what they name are in the plan's key.
        *("CC", "CXX", "JAVA_HOME", "DEVELOPER_DIR"),
        *("ANDROID_NDK_HOME", "ANDROID_NDK_ROOT", "ANDROID_HOME", "ANDROID_SDK_ROOT"),
        # How launchers reach their helpers and their stores.
        *("SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    )
)
_KEPT_PREFIXES = (
    *("BUILDER_", "CCACHE_", "DISTCC_", "ICECC_", "SCCACHE_"),
    # Credentials of the stores that sccache knows.
    *("ACTIONS_", "ALIBABA_CLOUD_", "AWS_", "GOOGLE_", "TENCENTCLOUD_"),
)
_DROPPED = frozenset(("CCACHE_CC", "CCACHE_COMPILER", "ICECC_CC", "ICECC_CXX"))
"""Variables by which a launcher takes another compiler than the one that builder names."""


def keep_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns those variables of `environment` that tools get."""
    return {
        name: value
        for name, value in environment.items()
        if name in _KEPT or (name.startswith(_KEPT_PREFIXES) and name not in _DROPPED)
    }
