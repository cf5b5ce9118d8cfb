"""Reads mirrors and proxies from the configuration of apt; changes nothing, needs no root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.system.process import Runner

_SERVED = ("http", "https")
"""Schemes of URLs that builder can download."""
_ROLLING = frozenset({"oldstable", "sid", "stable", "testing", "unstable", "devel"})
"""Names of suites in Debian and Ubuntu that are not code names of a release."""
_POOL_COMPONENTS = ("main", "universe")
"""Components of Debian and Ubuntu that can contain the packages in the source lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """One mirror of the distribution."""

    url: str
    """Base URL without a slash at the end; the package pool is below it."""
    components: tuple[str, ...]
    """Configured components that can contain the packages in the source lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AptConfiguration:
    """The mirrors and proxies that apt uses on this machine."""

    mirrors: tuple[Mirror, ...] = ()
    proxies: Mapping[str, str] = field(default_factory=dict)
    """Scheme or `scheme://host` -> URL of the proxy, in the form of the requests library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AptEntry:
    """One entry of a sources file, in the one-line style or the deb822 style."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]


def read_apt_configuration(runner: Runner, *, root: Path = Path("/")) -> AptConfiguration:
    """Reads the sources and proxies of apt; the result is empty when apt is not installed.

    Args:
        runner: runs `apt-config dump` when it is installed.
        root: the root of the file system that is read.
    """
    settings = _dump_settings(runner)
    etc = root / "etc/apt"
    # The folders of apt can be moved by its settings (apt.conf(5), "Directories").
    if settings:
        base = settings.get("dir", "/"), settings.get("dir::etc", "etc/apt")
        etc = root / (Path(*base).as_posix().lstrip("/"))
    listed = etc / settings.get("dir::etc::sourcelist", "sources.list")
    parts = etc / settings.get("dir::etc::sourceparts", "sources.list.d")
    entries: list[AptEntry] = []
    # apt reads the folder in this order too, and the first mirror is asked first.
    for path in (listed, *(sorted(parts.iterdir()) if parts.is_dir() else ())):
        entries += _read_entries(path)
    release = parse_os_release(_read_text(root / "etc/os-release"))
    mirrors = find_mirrors([_follow_lists(entry, root) for entry in entries], release)
    return AptConfiguration(mirrors=mirrors, proxies=parse_proxies(settings))


def find_mirrors(entries: list[AptEntry], release: Mapping[str, str]) -> tuple[Mirror, ...]:
    """Returns the mirrors of the distribution; URLs that end with its name come first.

    Third-party entries (with suites or components that the distribution does not have) are left
    out, and security updates as well, which contain only packages that changed since the release.
    """
    codenames = _ROLLING | {v for k, v in release.items() if k.endswith("CODENAME") and v}
    # Their pool is the one of the release.
    suffixes = ("", "-updates", "-backports")
    suites = frozenset(name + suffix for name in codenames for suffix in suffixes)
    mirrors: dict[str, set[str]] = {}
    for entry in entries:
        components = set(entry.components) & set(_POOL_COMPONENTS)
        if not components or not suites.intersection(entry.suites):
            continue
        for uri in entry.uris:
            if uri.partition("://")[0] in _SERVED:
                mirrors.setdefault(uri.rstrip("/"), set()).update(components)
    names = {release.get("ID", ""), *release.get("ID_LIKE", "").split()} - {""}
    # Mirrors of third parties may use the suites of the distribution, so their names decide.
    ordered = sorted(mirrors, key=lambda url: url.rpartition("/")[2] not in names)
    return tuple(Mirror(url=url, components=tuple(sorted(mirrors[url]))) for url in ordered)


def parse_one_line_style(text: str) -> list[AptEntry]:
    """Parses `deb [options] uri suite component...` lines (sources.list(5))."""
    entries = []
    for line in text.splitlines():
        # Options may contain spaces, so they go before the line is split.
        bare = re.sub(r"\[[^\]]*\]", "", line.partition("#")[0], count=1).split()
        if len(bare) >= 4 and bare[0] in ("deb", "deb-src"):
            entries.append(AptEntry(uris=(bare[1],), suites=(bare[2],), components=tuple(bare[3:])))
    return entries


def parse_deb822_style(text: str) -> list[AptEntry]:
    """Parses the stanzas of a `.sources` file (sources.list(5), deb822 style)."""
    entries = []
    for fields in _parse_stanzas(text):
        enabled = fields.get("enabled", "yes").strip().lower()
        types = fields.get("types", "").split()
        # These are all words that apt takes for no (StringToBool in apt-pkg/contrib/strutl.cc).
        if enabled in ("no", "false", "0", "off", "without", "disable"):
            continue
        if {"deb", "deb-src"}.intersection(types):
            entries.append(
                AptEntry(
                    uris=tuple(fields.get("uris", "").split()),
                    suites=tuple(fields.get("suites", "").split()),
                    components=tuple(fields.get("components", "").split()),
                )
            )
    return entries


def parse_settings(text: str) -> dict[str, str]:
    """Parses `apt-config dump`: lower-case name -> value; the last value of a name counts."""
    return {m[1].lower(): m[2] for m in re.finditer(r'^(\S+) "(.*)";$', text, re.MULTILINE)}


def parse_proxies(settings: Mapping[str, str]) -> dict[str, str]:
    """Returns the proxies of apt in the form of the requests library; `DIRECT` means no proxy.

    https uses the proxy of http when it has none, as in apt (apt-transport-https(1)).
    """
    proxies = {}
    for scheme in _SERVED:
        prefix = f"acquire::{scheme}::proxy"
        default = settings.get(prefix) or settings.get("acquire::http::proxy", "")
        if default and default.upper() != "DIRECT":
            proxies[scheme] = default
        for name, value in settings.items():
            if name.startswith(prefix + "::"):
                host = name.removeprefix(prefix + "::")
                proxies[f"{scheme}://{host}"] = "" if value.upper() == "DIRECT" else value
    return proxies


def parse_os_release(text: str) -> dict[str, str]:
    """Parses os-release(5): name -> value without quotes."""
    matches = re.finditer(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)
    return {m[1]: m[2].strip().strip("\"'") for m in matches}


def _parse_stanzas(text: str) -> list[dict[str, str]]:
    stanzas: list[dict[str, str]] = [{}]
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            stanzas.append({})
            name = ""
        elif line[0] in " \t" and name:
            # A line that begins with a space continues the field above it (deb822(5)).
            stanzas[-1][name] += " " + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            stanzas[-1][name] = value.strip()
    return [stanza for stanza in stanzas if stanza]


def _read_entries(path: Path) -> list[AptEntry]:
    match path.suffix:
        case ".sources":
            return parse_deb822_style(_read_text(path))
        case ".list":
            return parse_one_line_style(_read_text(path))
        case _:
            return []


def _follow_lists(entry: AptEntry, root: Path) -> AptEntry:
    """Replaces `mirror+file:` URIs, which cloud images use, with the mirrors in that file."""
    uris: list[str] = []
    for uri in entry.uris:
        if uri.startswith("mirror+file:"):
            listed = root / uri.removeprefix("mirror+file:").lstrip("/")
            uris += [w[0] for line in _read_text(listed).splitlines() if (w := line.split())]
        else:
            uris.append(uri)
    return AptEntry(uris=tuple(uris), suites=entry.suites, components=entry.components)


def _dump_settings(runner: Runner) -> dict[str, str]:
    program = runner.find_program("apt-config")
    if program is None:
        return {}
    # apt itself merges all its files, so builder does not have to know their order and syntax.
    completed = runner.run((str(program), "dump"))
    return parse_settings(completed.output) if completed.returncode == 0 else {}


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
