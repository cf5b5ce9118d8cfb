"""Whatever the operator list, its slices of torchgen's code have to compile.

Compiling each of 9,000 groups would take hours. What a slice can lack is a header, so this looks
for the names that a group mentions in the headers that it would include.
"""

import re

import pytest

from builder.native.generated import FOLDER, read_generated
from builder.system.folders import cache_folder

from .conftest import read_plan

pytestmark = [pytest.mark.host, pytest.mark.torch]
DECLARED_ELSEWHERE = {"at::native::resize_output"}
"""In a header that every slice includes."""
OPERATOR = re.compile(r"at::(_ops|native|\w*cpu|composite\w+)::(\w+)")


def test_every_group_has_the_headers_of_what_it_mentions(built):
    plan = read_plan(*built.wanted)
    key = plan["objects_key"]
    configured = cache_folder() / "native" / key / "configured"
    code = read_generated(configured)
    declared = {
        header: set(re.findall(r"\w+", (configured / FOLDER / "ops" / header).read_text()))
        for headers in code.headers.values()
        for header in headers
    }
    assert len(code.groups) > 9000
    lacking = {}
    for name, group in code.groups.items():
        text = code.render([name])
        included = re.findall(r"<ATen/ops/(\w+\.h)>", text)
        names = set().union(*(declared[header] for header in included))
        wanted = {n for n in {*group.mentions, *group.defines} if n not in DECLARED_ELSEWHERE}
        missing = [n for n in wanted if (m := OPERATOR.match(n)) and m[2] not in names]
        if missing:
            lacking[name] = sorted(missing)
    assert lacking == {}
