"""Runs builder and ends it at a chosen point: `stopping.py POINT SIGNAL WHOM ARGUMENT...`.

Nothing here depends on a clock: builder ends itself, where it is at that moment, as somebody else
would end it. POINT is one of `POINTS`; WHOM is `builder` or `group`.
"""

import os
import signal
import sys
from contextlib import contextmanager

from builder.cli import console
from builder.cli.main import main
from builder.packaging import runtime_folder as linux
from builder.system import process, replace_folders

_COMPILED = 3
"""How many units are compiled before builder ends while it compiles."""


class Stop:
    """Ends builder, once."""

    def __init__(self, number, whom):
        self.number = signal.Signals(number)
        self.whom = whom

    def now(self):
        if self.whom == "group":
            os.killpg(0, self.number)
        else:
            os.kill(os.getpid(), self.number)


def stop_in_tool(stop, *parts, lines=0):
    """Ends builder when a tool runs whose command has all `parts`, after some lines of output."""
    start = process._supervised

    @contextmanager
    def started(command, *others):
        with start(command, *others) as running:
            if all(any(part in word for word in command) for part in parts):
                for _ in range(lines):
                    running.stdout.readline()
                stop.now()
            yield running

    process._supervised = started


def stop_in_step(stop, text):
    say = console.ConsoleProgress.step

    def step(self, message):
        say(self, message)
        if text in message:
            stop.now()

    console.ConsoleProgress.step = step


def stop_in_compile(stop):
    say = console.ConsoleProgress.advance
    seen = []

    def advance(self, done, total, what):
        say(self, done, total, what)
        seen.append(what)
        if len(seen) == _COMPILED:
            stop.now()

    console.ConsoleProgress.advance = advance


def stop_in_copy(stop):
    copy = linux._copy

    def copying(source, target, **options):
        copy(source, target, **options)
        if target.name == "torchlite.h":
            stop.now()

    linux._copy = copying


def stop_after_swap(stop):
    swap = replace_folders.swap_folder

    def swapped(new, path):
        swap(new, path)
        if path.name.startswith("linux-"):
            stop.now()

    replace_folders.swap_folder = swapped


POINTS = {
    "configure": lambda stop: stop_in_tool(stop, "Ninja", lines=5),
    "generate": lambda stop: stop_in_tool(stop, "torchgen.gen"),
    "compile": stop_in_compile,
    "link": lambda stop: stop_in_tool(stop, "-soname"),
    "optimise": lambda stop: stop_in_tool(stop, "-soname", "-flto"),
    "strip": lambda stop: stop_in_tool(stop, "--strip-all"),
    "package": lambda stop: stop_in_step(stop, "packaging"),
    "copy": stop_in_copy,
    "swap": stop_after_swap,
}


if __name__ == "__main__":
    point, number, whom, *arguments = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it may have been ignored
    POINTS[point](Stop(int(number), whom))
    sys.argv = ["builder", *arguments]
    main()
