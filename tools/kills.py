"""Kills `builder build` again and again; the next run must end with the bytes of another.

    .venv/bin/python tools/kills.py MODEL... --work FOLDER [--count 60] [--seed 1] [--cache FOLDER]
                                    [--profile speed]

For those who change how builder runs programs or writes files. It takes an hour, so it is run by
hand; tests/native/test_interrupted.py ends builds at a few chosen points.

A build is killed by SIGKILL, SIGTERM or SIGINT, alone or with its group, at any time while it
configures, compiles, links, optimises (the size profile does) or packages. Then nothing of it may
run once its lock is free, and one more build, followed to its end, must give the same bytes and
leave nothing behind. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder.system.locks import folder_lock
from builder.system.machine import host_abi

PHASES = {
    "configure": ("configuring",),
    "compile": tuple(f"round {number}:" for number in range(1, 7)),
    "link": ("round 7:", "round 8:", "round 9:"),
    "optimise": ("optimising",),
    "package": ("stripping", "packaging"),
}
"""Phase -> what builder says when it begins."""
WEIGHTS = {"configure": 2, "compile": 6, "link": 3, "optimise": 3, "package": 3}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
OBJECTS = 6
"""So many are taken away before each build that is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One build that is killed."""

    phase: str
    text: str
    number: signal.Signals
    group: bool


class Builder:
    """Runs builds of the same models, in one cache and one folder."""

    def __init__(self, models: list[str], work: Path, cache: Path | None, profile: str) -> None:
        """Learns the keys of the build."""
        self.profile = profile
        self.models, self.out, self.temporary = models, work / "out", work / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        chosen = {"BUILDER_CACHE": str(cache)} if cache else {}
        self.environment = {**os.environ, **chosen, "TMPDIR": str(self.temporary)}
        os.environ.update(chosen)
        command = (sys.executable, "-m", "builder.cli.main", "plan", *models, "--json")
        (plan,) = json.loads(subprocess.check_output(command, env=self.environment))["plans"]
        from builder.system.folders import cache_folder

        self.root = cache_folder() / "native" / plan["objects_key"]
        self.times: dict[str, float] = {}
        """What builder said -> seconds until it said something else, in the latest build."""

    def start(self, mark: str) -> subprocess.Popen[str]:
        """Returns a build that has just begun."""
        command = (sys.executable, "-m", "builder.cli.main", "build", *self.models)
        return subprocess.Popen(
            (*command, "-o", str(self.out), "--profile", self.profile),
            env={**self.environment, "BUILDER_KILLS_MARK": mark},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )

    def finish(self) -> dict[str, str]:
        """Builds to the end; returns path -> digest of what was made."""
        process = self.start("")
        said, since = "", time.monotonic()
        lines = []
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if line.startswith("==> "):
                now = time.monotonic()
                self.times[said] = now - since
                said, since = line.removeprefix("==> ").strip(), now
        self.times[said] = time.monotonic() - since
        if process.wait() != 0:
            raise SystemExit("a build that nobody killed failed\n" + "".join(lines))
        folder = self.out / host_abi()
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def kill(self, one: Kill, chance: random.Random) -> tuple[int, int, float]:
        """Kills a build.

        Returns its exit code, how many processes of it there were when its lock was free, and
        the seconds until then.
        """
        mark = str(uuid.uuid4())
        process, reached = self.start(mark), threading.Event()

        def watch() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                if one.text in line:
                    reached.set()
            reached.set()

        threading.Thread(target=watch, daemon=True).start()
        reached.wait()
        longest = max((t for text, t in self.times.items() if one.text in text), default=5.0)
        try:
            process.wait(timeout=chance.uniform(0, longest))
        except subprocess.TimeoutExpired:
            (os.killpg if one.group else os.kill)(process.pid, one.number)
        code, ended = process.wait(), time.monotonic()
        with folder_lock(self.root):
            return code, len(list_marked(mark)), time.monotonic() - ended

    def disturb(self, phase: str, chance: random.Random) -> None:
        """Takes something away, so that the next build has something to do."""
        objects = [
            path
            for path in (self.root / "objects" / self.profile).rglob("*.o")
            if "@index" not in path.name
        ]
        for path in chance.sample(objects, min(OBJECTS, len(objects))):
            path.unlink()
        # What is finished and whole would be the answer, whatever its objects are.
        shutil.rmtree(self.root.parents[1] / "finished", ignore_errors=True)
        if phase == "configure":
            (self.root / "configured.json").unlink(missing_ok=True)

    def list_leftovers(self) -> list[str]:
        """Returns what should not be there after a build that nobody killed."""
        here = [path for path in self.out.iterdir() if path.name not in {host_abi(), "cmake"}]
        inside = [*self.root.rglob(".builder-tmp-*"), *self.root.rglob("*.tmp")]
        return sorted(map(str, (*here, *inside, *self.temporary.iterdir())))


def list_marked(mark: str) -> list[str]:
    """Returns the processes with `mark` in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"BUILDER_KILLS_MARK={mark}".encode() in environment.split(b"\0"):
            found.append(folder.name)
    return found


def choose(chance: random.Random, said: Iterable[str]) -> Kill:
    """Returns what to kill, when and how; `said` is what builds say of their steps."""
    steps = {
        phase: [text for text in texts if any(text in one for one in said)]
        for phase, texts in PHASES.items()
    }
    weights = {phase: weight for phase, weight in WEIGHTS.items() if steps[phase]}
    (phase,) = chance.choices(list(weights), list(weights.values()))
    return Kill(
        phase=phase,
        text=chance.choice(steps[phase]),
        number=chance.choice(SIGNALS),
        group=chance.random() < 0.5,
    )


def main() -> int:
    """Prints a line for each kill; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--work", type=Path, required=True, help="folder for all results")
    parser.add_argument("--cache", type=Path, help="instead of BUILDER_CACHE")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=("size", "speed"), default="size")
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311 - no secret
    builder = Builder(options.models, options.work, options.cache, options.profile)
    shutil.rmtree(builder.out, ignore_errors=True)
    wanted, bad, slowest = builder.finish(), 0, 0.0
    say(f"{len(wanted)} files, {sum(builder.times.values()):.0f} s")
    # This is how long steps take from now on, and which there are.
    builder.disturb("configure", chance)
    builder.times.clear()
    builder.finish()
    steps, number = tuple(builder.times), 0
    while number < options.count:
        one = choose(chance, steps)
        builder.disturb(one.phase, chance)
        code, alive, seconds = builder.kill(one, chance)
        if code == 0:  # it ended before the signal came
            continue
        number += 1
        same = builder.finish() == wanted
        left = builder.list_leftovers()
        bad += not same or bool(alive) or bool(left)
        slowest = max(slowest, seconds)
        whom, what = "group" if one.group else "builder", "same" if same else "OTHER"
        say(
            f"{number:3} {one.phase:9} {one.text:12} {one.number.name:7} {whom:7} exit {code:4}, "
            f"lock free after {seconds:.2f} s, {alive} alive, {what} bytes, "
            f"left: {' '.join(left) or '-'}"
        )
    say(f"{options.count} kills, {bad} bad; locks were free after at most {slowest:.2f} s")
    return int(bad > 0)


def say(text: str) -> None:
    """Prints at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
