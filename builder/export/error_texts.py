"""Errors of PyTorch and of the user's own code, shortened to what helps."""

from __future__ import annotations

import itertools
import re
import traceback
from pathlib import Path

_LONGEST = 240
_PLACE = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
_MARKED = re.compile(r"^(?P<code>.*)\n\s*~+\s*<--- HERE", re.MULTILINE)
_TRACED = re.compile(r"^(?P<file>/?[^\s()][^()\n]*)\((?P<line>\d+)\): \w+", re.MULTILINE)
"""How a trace writes places."""
_TRACER = re.compile(r"^:(?P<reason>.+)", re.MULTILINE)
_OURS = "/builder/export/"
_FOREIGN = ("/torch/", "/torchvision/", _OURS, "/importlib/", "<frozen ")


def describe_exception(error: BaseException) -> str:
    """Returns type, message and place: the deepest frame that is the user's own, if any."""
    text = f"{type(error).__name__}: {shorten(str(error))}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not is_foreign(frame.filename)]
    if not own:
        return text
    return f"{text} ({own[-1].filename}:{own[-1].lineno}, in {own[-1].name})"


def describe_torchscript_error(error: BaseException) -> str:
    """Returns TorchScript's reason, and the user's file, line and code when it knows them."""
    text = str(error).strip()
    tracer = _TRACER.search(text)
    reason = shorten(tracer["reason"] if tracer else text).rstrip(":").rstrip(".")
    place = _PLACE.search(text)
    if place is None:
        return reason
    marked = _MARKED.search(text)
    code = f": {marked['code'].strip()}" if marked else ""
    return f"{reason} ({place['file']}:{place['line']}{code})"


def find_place(source: str) -> str:
    """Returns ` (file:line: code)` of the user's own code in a node's source range, or nothing."""
    places = [*_PLACE.finditer(source), *_TRACED.finditer(source)]
    within = itertools.takewhile(lambda place: _OURS not in place["file"], places)
    own = [place for place in within if not is_foreign(place["file"])]
    if not own:
        return ""
    marked = _MARKED.search(source, own[0].end())
    code = f": {marked['code'].strip()}" if marked and len(places) == 1 else ""
    return f" ({own[0]['file']}:{own[0]['line']}{code})"


def shorten(text: str) -> str:
    """Returns the first line that says something, at most 240 characters of it."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line), "")
    return first if len(first) <= _LONGEST else first[: _LONGEST - 3] + "..."


def is_foreign(filename: str) -> bool:
    """True for files of torch, torchvision, the import system and this package."""
    path = Path(filename).as_posix()
    return any(part in path for part in _FOREIGN)
