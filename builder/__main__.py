"""What the command `builder` and `python -m builder` run first: the command line itself."""

from __future__ import annotations

import signal


def main() -> None:
    """Imports the command line and runs it, which ends the process.

    Python's own handler would answer Ctrl-C during the import with a traceback. Until the command
    line can answer, the signal ends the process.
    """
    # The caller may ignore the signal, as nohup does.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from builder.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
