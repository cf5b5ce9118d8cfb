"""Shortens errors of PyTorch and of the user's code to what helps the user."""

from __future__ import annotations

import itertools
import re
import traceback
from pathlib import Path

_LONGEST = 240
_REPORT = "please report a bug to PyTorch. "
"""What torch asks for at each failed assertion, also those that inputs and files cause."""
_PLACE = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
_MARKED = re.compile(r"^(?P<code>.*)\n\s*~+\s*<--- HERE", re.MULTILINE)
_TRACED = re.compile(r"^(?P<file>/?[^\s()][^()\n]*)\((?P<line>\d+)\): \w+", re.MULTILINE)
"""A place in the source range of a traced node: `file(line): function`."""
_TRACER = re.compile(r"^:(?P<reason>.+)", re.MULTILINE)
_INTERPRETER = "Traceback of TorchScript"
"""The title of the frames that TorchScript's interpreter puts before the reason."""
_REASON = re.compile(r"^(?:builtins\.)?(?P<reason>\S.*)", re.MULTILINE)
"""Code of functions is indented, also the lines after the marked one."""
_OURS = "/builder/export/"
_FOREIGN = ("/torch/", "/torchvision/", _OURS, "/importlib/", "<frozen ")


def describe_exception(error: BaseException) -> str:
    """Returns type and message of an error, and the deepest place in the user's code, if any."""
    if _INTERPRETER in str(error):
        return _describe_interpreter_error(str(error))
    text = f"{type(error).__name__}: {shorten(str(error))}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not is_foreign(frame.filename)]
    if not users:
        return text
    return f"{text} ({users[-1].filename}:{users[-1].lineno}, in {users[-1].name})"


def describe_torchscript_error(error: BaseException) -> str:
    """Returns the reason that TorchScript gives, and the file, line and code if it names them."""
    text = str(error).strip()
    tracer = _TRACER.search(text)
    reason = shorten(tracer["reason"] if tracer else text).rstrip(":").rstrip(".")
    place = _PLACE.search(text)
    if place is None:
        return reason
    marked = _MARKED.search(text)
    code = f": {marked['code'].strip()}" if marked else ""
    return f"{reason} ({place['file']}:{place['line']}{code})"


def _describe_interpreter_error(text: str) -> str:
    """Returns the reason at the end of an error of TorchScript's interpreter, and its place."""
    # The frames come before the reason: first those of the saved code, then the original ones.
    frames, _, reason = text.rpartition("<--- HERE")
    original = frames.rpartition(_INTERPRETER)[2]
    places = [place for place in _PLACE.finditer(original) if not is_foreign(place["file"])]
    found = _REASON.search(reason)
    text = shorten(found["reason"] if found else reason)
    if not places:
        return text
    code = _MARKED.search(f"{original}<--- HERE", places[-1].end())
    marked = f": {code['code'].strip()}" if code else ""
    return f"{text} ({places[-1]['file']}:{places[-1]['line']}{marked})"


def find_place(source: str) -> str:
    """Returns ` (file:line: code)` of the user's code in a node's source range, or ``."""
    places = [*_PLACE.finditer(source), *_TRACED.finditer(source)]
    # Below the first frame of builder come only frames of whoever called builder.
    within = itertools.takewhile(lambda place: _OURS not in place["file"], places)
    users = [place for place in within if not is_foreign(place["file"])]
    if not users:
        return ""
    marked = _MARKED.search(source, users[0].end())
    code = f": {marked['code'].strip()}" if marked and len(places) == 1 else ""
    return f" ({users[0]['file']}:{users[0]['line']}{code})"


def shorten(text: str) -> str:
    """Returns the first line that is not empty, cut to 240 characters."""
    lines = (line.strip() for line in text.replace(_REPORT, "").splitlines())
    first = next((line for line in lines if line), "")
    return first if len(first) <= _LONGEST else first[: _LONGEST - 3] + "..."


def is_foreign(filename: str) -> bool:
    """Returns True for files of torch, torchvision, the import system and this package."""
    path = Path(filename).as_posix()
    return any(part in path for part in _FOREIGN)
