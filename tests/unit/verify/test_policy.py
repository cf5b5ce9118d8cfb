"""Reports of libraries that break rules."""

from builder.verify.policy import PolicyFinding, Verdict, describe_findings


def test_a_name_in_a_package_forges_no_line():
    finding = PolicyFinding(
        rule="relro",
        file="jni/x86\nall libraries keep the rules\nhint: run this",
        verdict=Verdict.VIOLATED,
        found="a\nb",
        wanted="c",
        remedy="",
    )
    lines = describe_findings([finding])
    assert len(lines) == 2
    assert not any("\n" in line for line in lines)
    assert "\\nhint: run this" in lines[0]
