"""Ctrl-C for programs that tests start."""

from __future__ import annotations

import signal


def take_interrupts() -> None:
    """Lets the program that starts next take SIGINT; for `preexec_fn` of subprocess.

    What runs the tests may ignore it, as a shell does for what it runs in the background.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
