"""A program `adb` whose device is a folder of this machine; what it runs are real runtimes."""

import shlex
from pathlib import Path

_SCRIPT = """\
#!/bin/sh
# Keeps what it was told in {log}.
echo "$*" >> {log}
place() {{ printf %s "$1" | sed 's,/data/local/tmp,{device},g'; }}
case $1 in
  push)
    cp -L "$2" "$(place "$3")"
    chmod 644 "$(place "$3")"
    {pushed}
    ;;
  pull) cp "$(place "$2")" "$3" ;;
  shell) exec sh -c "$(place "$2" | sed -E {started})" ;;
  *) exit 1 ;;
esac
"""
_VERSIONED = 'case $3 in */libtorchlite.so) cp "$(place "$3")" "$(place "$3").1" ;; esac'
"""Libraries of Linux have a version in their names, and those of Android none."""


def make_adb(folder: Path, *, prefix: tuple[str, ...] = ()) -> tuple[str, Path]:
    """Returns a command for --via, and the file with all commands that adb got.

    `prefix` is what runs a program of the device.
    """
    device, adb, log = folder / "device", folder / "adb", folder / "log"
    device.mkdir()
    starting = f"s|(LD_LIBRARY_PATH=[^ ]+) |\\1 {shlex.join(prefix)} |" if prefix else ""
    script = _SCRIPT.format(
        log=shlex.quote(str(log)),
        device=device,
        started=shlex.quote(starting),
        pushed=":" if prefix else _VERSIONED,
    )
    adb.write_text(script)
    adb.chmod(0o755)
    return shlex.join((str(adb), "shell")), log
