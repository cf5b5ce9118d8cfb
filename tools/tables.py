"""Replaces the generated parts of documents, which stand between two marks."""

from __future__ import annotations


def replace_part(document: str, name: str, text: str) -> str:
    """Returns `document` with `text` between its marks for the part `name`.

    Raises:
        ValueError: the document does not have each of the marks once.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = document.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{text}{end}{after}"
