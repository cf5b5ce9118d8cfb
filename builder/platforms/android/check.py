"""Holds the libraries of an AAR against the rules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from builder.core.targets import MIN_API
from builder.errors import ConfigurationError, Hint, Run, Use
from builder.formats.elf import MAGIC
from builder.lite.foreign_formats import PYTHON_HINT
from builder.lite.read import (
    EXPORTED,
    LITE,
    TORCHSCRIPT,
    hint_to_convert,
    lite_path,
    name_conversion,
    name_kind,
)
from builder.platforms.android import aar as aars
from builder.platforms.android.libraries import BinaryFacts, read_facts
from builder.platforms.android.policies import Policies, load_policies
from builder.platforms.android.rules import CHECKS, Subject
from builder.platforms.android.stubs import find_stubs
from builder.system.files import MAX_LIBRARY, describe_absent, read_regular
from builder.system.zips import open_zip
from builder.verify.policy import (
    Binary,
    Judge,
    PolicyFinding,
    PolicyReport,
    Verdict,
    merge_reports,
)

if TYPE_CHECKING:
    from builder.platforms.android.package import AndroidPackage

_LARGE_PAGE = 1 << 14
_NAME_ONE = Hint(
    "name an AAR, an xcframework or a shared library; or a model and a runtime: ",
    Run("check", ("MODEL", "RUNTIME")),
)


def check_binaries(
    binaries: Iterable[Binary],
    *,
    min_api: int,
    page_size: int | None = None,
    ndk: Path | None = None,
    has_prefab: bool = False,
) -> PolicyReport:
    """Returns what is wrong with libraries, and what cannot be told.

    Args:
        binaries: of all ABIs; those of one ABI may need each other.
        min_api: lowest API level that they are to run on.
        page_size: wanted on 64-bit ABIs, in bytes; that of policies.toml when None.
        ndk: an NDK, or its `sysroot/usr/lib`.
        has_prefab: whether C++ users may link them.

    Raises:
        ConfigurationError: there are none, or the page size is no power of two.
    """
    if page_size is not None and page_size.bit_count() != 1:
        raise ConfigurationError(
            f"{page_size} is not a page size, which is a power of two",
            hint=Hint("for 64-bit libraries, 16 KB is usual: ", Use("page_size", 16384)),
        )
    policies = load_policies()
    listed = sorted(binaries, key=lambda binary: binary.path)
    if not listed:
        raise ConfigurationError("the package contains no library")
    read = [(binary, _read(binary, policies)) for binary in listed]
    findings: list[PolicyFinding] = []
    for binary, facts in read:
        if isinstance(facts, str):
            judge = _judge_of(binary, None)
            # What cannot be read has broken the first rule, and no other one can be asked.
            findings.append(judge.find(policies.rules[0], Verdict.VIOLATED, facts))
            continue
        abi = policies.abis[binary.abi]
        system = find_stubs(ndk, abi.stubs, min_api)
        large = abi.page_size >= _LARGE_PAGE
        subject = Subject(
            name=binary.name,
            facts=facts,
            abi=binary.abi,
            min_api=min_api,
            # Devices with large pages are 64-bit only, so 32-bit libraries keep their own
            # alignment.
            page_size=page_size if page_size is not None and large else abi.page_size,
            # Symbols may come from another library of the same ABI, such as libc++_shared.so.
            beside=_find_beside(binary, read),
            has_prefab=has_prefab,
            stubs=system.symbols,
            stubs_missing=system.missing,
            policies=policies,
        )
        judge = _judge_of(binary, subject)
        findings += judge.judge(policies.rules, CHECKS, subject)
    return PolicyReport(
        files=tuple(binary.path for binary in listed),
        rules=tuple(rule.name for rule in policies.rules),
        min_api=min_api,
        findings=tuple(findings),
    )


def guess_abi(contents: bytes) -> str:
    """Returns the ABI for the CPU architecture of a library; empty when Android has none for it."""
    try:
        machine = read_facts(contents).machine
    except ValueError:
        return ""
    abis = load_policies().abis
    return next((abi for abi, policy in abis.items() if policy.machine == machine), "")


def _read(binary: Binary, policies: Policies) -> BinaryFacts | str:
    """Returns the facts, or what keeps them from being judged."""
    try:
        facts = read_facts(binary.contents)
    except ValueError as error:
        return str(error)
    if binary.abi not in policies.abis:
        return f"{binary.abi!r:.40} is not an ABI of Android"
    return facts


def _find_beside(
    binary: Binary, read: Iterable[tuple[Binary, BinaryFacts | str]]
) -> dict[str, BinaryFacts]:
    return {
        other.name: facts
        for other, facts in read
        if other.abi == binary.abi and isinstance(facts, BinaryFacts)
    }


def _judge_of(binary: Binary, subject: Subject | None) -> Judge:
    values: dict[str, object] = {"file": binary.name, "page_size": "", "min_api": "", "exports": ""}
    if subject is not None:
        exports = subject.exports
        values |= {
            "page_size": subject.page_size,
            "min_api": subject.min_api,
            "exports": ", ".join(exports.required) if exports else "",
        }
    return Judge(file=binary.path, values=values)


def check_package(
    package: AndroidPackage, *, page_size: int | None = None, ndk: Path | None = None
) -> PolicyReport:
    """Returns the same of an AAR that is not written yet."""
    binaries = (
        Binary(path=f"jni/{one.abi}/{name}", abi=one.abi, contents=file.library.read_bytes())
        for one in package.libraries
        for name, file in one.files.items()
    )
    return check_binaries(
        binaries,
        min_api=package.min_api,
        page_size=page_size,
        ndk=ndk,
        has_prefab=package.prefab is not None,
    )


def _read_library(path: Path) -> bytes:
    if not path.exists():
        raise ConfigurationError(f"{path} {describe_absent(path)}", hint=_NAME_ONE)
    if path.is_dir():
        raise ConfigurationError(f"there is no AAR or xcframework in {path}", hint=_NAME_ONE)
    try:
        contents = read_regular(path, MAX_LIBRARY)
    except ValueError as error:
        raise ConfigurationError(f"{path} cannot be checked: {error}", hint=_NAME_ONE) from error
    # A user who wants to check a model easily forgets the runtime.
    if not contents.startswith(MAGIC):
        kind = name_kind(path)
        what = f"{kind}, and not a package" if kind else "not an AAR, a library or an xcframework"
        raise ConfigurationError(f"{path} is {what}", hint=_hint_for(kind, path))
    return contents


def _hint_for(kind: str, path: Path) -> Hint:
    """Returns what to do with a file of this kind, as `name_kind` calls it."""
    if kind == LITE:
        return Hint("to find out whether a runtime can run it: ", _check(path))
    if kind == TORCHSCRIPT:
        return Hint(
            "if you trust the file, export it first, which runs its code: ",
            *(name_conversion(path), "; then: ", _check(lite_path(path))),
        )
    if kind == EXPORTED:
        return Hint(hint_to_convert(path), "; then: ", _check(lite_path(path)))
    return Hint(PYTHON_HINT, "; then: ", _check(Path("model.ptl"))) if kind else _NAME_ONE


def _check(model: Path) -> Run:
    return Run("check", (str(model), "RUNTIME"))


def check_libraries(
    path: Path,
    *,
    min_api: int | None = None,
    page_size: int | None = None,
    ndk: Path | None = None,
) -> PolicyReport:
    """Returns which rules for Android the libraries of an AAR break, and which are not checked.

    Args:
        path: any AAR, an output folder with one, or a shared library.
        min_api: lowest API level; the one that the AAR declares when None.
        page_size: alignment in bytes wanted on 64-bit ABIs; the rules' own when None.
        ndk: an NDK, whose stub libraries list the symbols of Android's libraries.

    Raises:
        ConfigurationError: `path` is not an AAR or a library, it is damaged, or it declares
            something else than an API level.
    """
    aar = aars.find_aar(path)
    if aar is None:
        contents = _read_library(path)
        binaries = [Binary(path=path.name, abi=guess_abi(contents), contents=contents)]
        api = MIN_API if min_api is None else min_api
        return check_binaries(binaries, min_api=api, page_size=page_size, ndk=ndk)
    with open_zip(aar) as archive:
        # What the user says counts more than what the AAR declares.
        api = (aars.find_min_api(archive) or MIN_API) if min_api is None else min_api
        report = check_binaries(
            aars.read_binaries(archive),
            min_api=api,
            page_size=page_size,
            ndk=ndk,
            has_prefab=aars.has_prefab(archive),
        )
        manifest = aars.find_aar_manifest(archive)
        if manifest is None:
            return report
        return merge_reports(report, tuple(aars.check_contents(archive, manifest)))
