from __future__ import annotations

from dataclasses import replace

import pytest

from builder.errors import ConfigurationError, ExitCode, VerificationError
from builder.formats.elf import Segment
from builder.platforms.android import check as policing
from builder.platforms.android.check import check_binaries, check_libraries, guess_abi
from builder.platforms.android.libraries import BinaryFacts
from builder.verify.policy import Binary, Verdict, describe_findings, refuse_violations

NAME = "libpytorch_jni_lite.so"
LOADED = Segment(kind=1, flags=5, offset=0x4000, address=0x8000, size=10, alignment=0x4000)
STACK = Segment(kind=0x6474E551, flags=6, offset=0, address=0, size=0, alignment=0)
SOUND = BinaryFacts(
    bits=64,
    machine=183,
    segments=(LOADED, STACK, LOADED._replace(kind=0x6474E552)),
    tags=frozenset({4, 0x6FFFFEF5}),
    needed=("libc.so", "liblog.so"),
    soname=NAME,
    runpaths=(),
    bind_now=True,
    text_relocations=False,
    exports=("JNI_OnLoad",),
    undefined=("malloc",),
    sections=frozenset({".text"}),
    build_id=True,
    has_symbol_table=False,
    paths=("/proc/cpuinfo",),
)


@pytest.fixture
def check(monkeypatch):
    def call(facts, **options):
        monkeypatch.setattr(policing, "read_facts", lambda _: facts)
        binary = Binary(path=f"jni/arm64-v8a/{NAME}", abi="arm64-v8a", contents=b"")
        return check_binaries([binary], **{"min_api": 21, **options})

    return call


def test_what_nobody_can_know_is_said_and_fails_nothing(check):
    report = check(SOUND)
    (finding,) = report.findings
    assert (finding.rule, finding.verdict) == ("undefined", Verdict.UNCHECKED)
    assert report.violations == ()
    refuse_violations(report, "the AAR")


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("abi", {"machine": 62}),
        ("page-size", {"segments": (LOADED._replace(alignment=4096), *SOUND.segments[1:])}),
        ("page-size", {"segments": (LOADED._replace(offset=0x4001), *SOUND.segments[1:])}),
        ("page-size", {"segments": SOUND.segments[1:]}),
        ("needed", {"needed": ("libfbjni.so",)}),
        ("needed", {"needed": ("libvulkan.so",)}),
        ("exports", {"exports": ("JNI_OnLoad", "leak")}),
        ("exports", {"exports": ("JNI_OnLoad", "torchlite_load")}),
        ("exports", {"exports": ()}),
        ("loader", {"tags": frozenset({4, 36})}),
        ("loader", {"tags": frozenset({0x6FFFFEF5})}),
        ("loader", {"segments": (*SOUND.segments, LOADED._replace(kind=7))}),
        ("relro", {"segments": SOUND.segments[:2]}),
        ("relro", {"bind_now": False}),
        ("no-exec-stack", {"segments": (LOADED, SOUND.segments[2])}),
        ("no-exec-stack", {"segments": (LOADED, SOUND.segments[2], STACK._replace(flags=7))}),
        ("no-exec-stack", {"segments": (*SOUND.segments, LOADED._replace(flags=7))}),
        ("text-relocations", {"text_relocations": True}),
        ("soname", {"soname": None}),
        ("soname", {"runpaths": ("/home",)}),
        ("build-id", {"build_id": False}),
        ("stripped", {"has_symbol_table": True}),
        ("stripped", {"sections": frozenset({".text", ".gnu_debugdata"})}),
        ("paths", {"paths": ("/proc/cpuinfo", "/root/pytorch/a.cpp")}),
    ],
)
def test_each_rule_finds_what_breaks_it(check, rule, changes):
    (finding,) = check(replace(SOUND, **changes)).violations
    assert finding.rule == rule
    assert finding.file == f"jni/arm64-v8a/{NAME}"
    assert "{" not in finding.wanted + finding.remedy
    assert finding.found
    assert finding.remedy


def test_what_the_api_level_brings_is_allowed(check):
    facts = replace(SOUND, needed=("libvulkan.so",), tags=frozenset({36, 0x6FFFFEF5}))
    assert {finding.rule for finding in check(facts, min_api=29).violations} == {"loader"}
    assert check(facts, min_api=30).violations == ()


def test_the_c_api_may_be_exported_where_it_is_offered(check):
    facts = replace(SOUND, exports=("JNI_OnLoad", "torchlite_load"))
    assert check(facts, has_prefab=True).violations == ()


def test_symbols_that_cannot_be_read_are_said_not_to_be_checked(check):
    report = check(replace(SOUND, exports=None, undefined=None, sections=frozenset()))
    unchecked = {finding.rule for finding in report.unchecked}
    assert unchecked == {"exports", "undefined", "build-id"}


def test_what_is_no_library_or_of_no_abi_is_a_violation():
    report = check_binaries([Binary(path="a/b.so", abi="x86", contents=b"text")], min_api=21)
    (finding,) = report.violations
    assert finding.rule == "abi"
    assert "not a shared library" in finding.found
    assert guess_abi(b"text") == ""


def test_a_folder_of_no_abi_is_a_violation(monkeypatch):
    monkeypatch.setattr(policing, "read_facts", lambda _: SOUND)
    report = check_binaries([Binary(path="jni/mips/b.so", abi="mips", contents=b"")], min_api=21)
    assert [finding.found for finding in report.violations] == ["'mips' is not an ABI of Android"]


def test_no_library_is_no_success():
    with pytest.raises(ConfigurationError, match="contains no library"):
        check_binaries([], min_api=21)


def test_a_violation_fails_with_all_that_was_found(check):
    report = check(replace(SOUND, bind_now=False, soname=None))
    with pytest.raises(VerificationError) as caught:
        refuse_violations(report, "the AAR")
    assert caught.value.exit_code == ExitCode.VERIFICATION == 8
    message = caught.value.message
    assert message.startswith("the AAR breaks 2 rules")
    assert "relro violated: symbols bound when they are first used" in message
    assert "remedy: link with -Wl,-z,relro,-z,now" in message
    assert len(describe_findings(report.violations)) == 6


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    library = tmp_path / "huge.so"
    with library.open("wb") as stream:
        stream.write(b"\x7fELF")
        stream.truncate(1 << 40)
    with pytest.raises(ConfigurationError, match="more than"):
        check_libraries(library)
