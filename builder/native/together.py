"""Libraries that are linked together share the jobs of a build.

What makes a library is a generator of steps. All units that libraries of one configuration want at
a time are compiled by one call of ninja, so that no job waits while another library is compiled,
and linkers of several libraries run at once. Everything else runs in one thread, in an order that
does not depend on time but for which linker ends first; and no step reads what another library
writes, so the libraries are those that would be linked one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from builder.errors import BuilderError
from builder.native import preludes
from builder.native.ledger import Dropped, Ledger
from builder.native.ninja import CompileFolder, compile_units, render_ninja, write_ninja
from builder.system.machine import count_cores
from builder.system.process import end_programs

if TYPE_CHECKING:
    from builder.core.units import TranslationUnit
    from builder.native.job import NativeBuild
    from builder.native.preludes import Prelude

_T = TypeVar("_T")
_NINJA_FILE = Path("together.ninja")
"""For what several libraries want; each has a ninja file of its own, too."""
_PAUSE = 0.1
"""Seconds after which programs that have started meanwhile are ended as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compile:
    """The step that brings objects up to date; its answer is how many were compiled for it."""

    build: NativeBuild
    folder: CompileFolder
    """Its ninja file is written."""
    known: Mapping[str, TranslationUnit]
    """The units in the ninja file."""
    ids: tuple[str, ...]
    """The units to compile."""
    preludes: Mapping[str, Prelude] = field(default_factory=dict)
    """Unit id -> what the unit begins with in the ninja file."""
    log: Path

    def fits(self, other: Compile) -> bool:
        """Returns whether one call of ninja can compile for both."""
        return (
            replace(self.folder, ninja_file=other.folder.ninja_file) == other.folder
            and self.build.toolchain == other.build.toolchain
            and all(self.known.get(one, other.known[one]) == other.known[one] for one in other.ids)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The step of a linker, which writes to the folder of its own plan; its answer is `run`'s."""

    run: Callable[[], tuple[str, ...]]
    is_long: bool = False
    """Whether others should not wait for it before they compile."""


Steps = Generator[Compile | Link, Any, _T]
"""What makes something of type `_T` by steps, whose answers are sent to it."""


def run_together(every: Sequence[Steps[_T]], *, jobs: int | None) -> tuple[_T, ...]:
    """Runs the steps of all generators, and returns what they make.

    Args:
        every: generators that have not begun.
        jobs: how many compilers and linkers run at once; ninja's own default when None, and then
            as many linkers as there are processors.

    Raises:
        BuilderError: the first error of a step or of a generator; the others are stopped.
    """
    shared = _Shared(jobs=jobs)
    try:
        if len(every) == 1:
            return (_run_alone(every[0], shared),)
        with ThreadPoolExecutor(max_workers=shared.places) as pool:
            together = _Together(every, shared, pool)
            try:
                return together.run()
            except BaseException:
                together.stop()
                raise
    finally:
        for one in every:
            one.close()
        shared.keep_preludes()


@dataclass(slots=True, kw_only=True)
class _Shared:
    """What compiles for all libraries."""

    jobs: int | None
    ledgers: dict[Path, Ledger] = field(default_factory=dict)
    """Folder of objects -> what is known of them: what one library compiles, others find."""
    roots: set[Path] = field(default_factory=set)
    """Folders in which something was compiled."""

    @property
    def places(self) -> int:
        return self.jobs or count_cores()

    def keep_preludes(self) -> None:
        """Keeps headers that were compiled ahead for later runs."""
        for root in self.roots:
            preludes.keep(root)

    def compile(self, asked: Sequence[Compile], taken: int = 0) -> list[int]:
        """Compiles what steps ask for, while `taken` linkers run; returns their answers."""
        answers: dict[int, int] = {}
        rest = list(enumerate(asked))
        while rest:
            merged = [rest[0]]
            for one in rest[1:]:
                if all(known.fits(one[1]) for _, known in merged):
                    merged.append(one)
            numbers = [number for number, _ in merged]
            counts = self._compile_merged([step for _, step in merged], taken)
            answers |= dict(zip(numbers, counts, strict=True))
            rest = [one for one in rest if one[0] not in answers]
        return [answers[number] for number in range(len(asked))]

    def _compile_merged(self, asked: Sequence[Compile], taken: int) -> list[int]:
        first, build = asked[0], asked[0].build
        folder, counts = first.folder, [0] * len(asked)
        ids = sorted({one for step in asked for one in step.ids})
        wanted_by = {one: n for n in range(len(asked) - 1, -1, -1) for one in asked[n].ids}
        ledger = self._find_ledger(folder)
        self.roots.add(folder.root)
        begins = {one: p for step in reversed(asked) for one, p in step.preludes.items()}
        if len(asked) > 1:
            known = {one.id: one for step in reversed(asked) for one in step.known.values()}
            known |= {one: step.known[one] for step in asked for one in step.ids}
            folder = replace(folder, ninja_file=_NINJA_FILE)
            write_ninja(render_ninja(known.values(), build.toolchain, folder, begins), folder)

        def on_compiled(unit_id: str) -> None:
            ledger.record(unit_id)
            # What several libraries want is compiled for the first one.
            counts[wanted_by[unit_id]] += 1

        # Before ninja runs, which looks at times only and would keep a damaged object.
        _say(ledger.drop_wrong(ids), build.progress.note)
        compile_units(
            ids,
            build.toolchain,
            folder,
            runner=build.runner,
            jobs=max(1, self.places - taken) if taken else self.jobs,
            progress=build.progress,
            log=first.log,
            on_compiled=on_compiled,
            preludes=begins,
        )
        # A unit that was compiled by a run that ended before it could write its digest.
        ledger.record_rest(ids)
        return counts

    def _find_ledger(self, folder: CompileFolder) -> Ledger:
        objects = folder.root / folder.objects
        if objects not in self.ledgers:
            self.ledgers[objects] = Ledger(folder)
        return self.ledgers[objects]


def _run_alone(steps: Steps[_T], shared: _Shared) -> _T:
    answer: Any = None
    while True:
        try:
            step = _answer(steps, answer)
        except StopIteration as done:
            result: _T = done.value
            return result
        try:
            answer = step.run() if isinstance(step, Link) else shared.compile([step])[0]
        except BuilderError as error:
            answer = error


class _Together(Generic[_T]):
    """Several generators, of which each waits for its step."""

    def __init__(self, every: Sequence[Steps[_T]], shared: _Shared, pool: Executor) -> None:
        self._every, self._shared, self._pool = every, shared, pool
        self._made: dict[int, _T] = {}
        self._asked: dict[int, Compile] = {}
        self._running: dict[Future[tuple[str, ...]], tuple[int, Link]] = {}

    def run(self) -> tuple[_T, ...]:
        """Runs all steps, and returns what was made."""
        for number in range(len(self._every)):
            self._advance(number, None)
        while self._asked or self._running:
            ended = [one for one in self._running if one.done()]
            if ended:
                self._take(ended)
            elif self._asked and self._may_compile():
                self._compile()
            else:
                wait(self._running, return_when=FIRST_COMPLETED)
        return tuple(self._made[number] for number in range(len(self._every)))

    def stop(self) -> None:
        """Ends the linkers: they are not interrupted with this thread."""
        rest = {one for one in self._running if not one.cancel()}
        while rest:
            end_programs()
            rest = wait(rest, timeout=_PAUSE).not_done

    def _advance(self, number: int, answer: object) -> None:
        try:
            step = _answer(self._every[number], answer)
        except StopIteration as done:
            self._made[number] = done.value
            return
        if isinstance(step, Link):
            self._running[self._pool.submit(step.run)] = (number, step)
        else:
            self._asked[number] = step

    def _take(self, ended: Sequence[Future[tuple[str, ...]]]) -> None:
        for one in sorted(ended, key=lambda future: self._running[future][0]):
            number, _ = self._running.pop(one)
            self._advance(number, one.exception() or one.result())

    def _may_compile(self) -> bool:
        # Linkers that end soon are waited for, so as to compile for all at once.
        links = [link for _, link in self._running.values()]
        return all(link.is_long for link in links) and len(links) < self._shared.places

    def _compile(self) -> None:
        asked = dict(sorted(self._asked.items()))
        self._asked.clear()
        counts = self._shared.compile(tuple(asked.values()), len(self._running))
        for number, count in zip(asked, counts, strict=True):
            self._advance(number, count)


def _answer(steps: Steps[_T], answer: object) -> Compile | Link:
    """Returns the next step; an error is raised where the generator waits, which may add to it."""
    return steps.throw(answer) if isinstance(answer, BaseException) else steps.send(answer)


def _say(dropped: Dropped, note: Callable[[str], None]) -> None:
    if dropped.damaged:
        more = len(dropped.damaged) - 1
        others = f" and {more} more" if more else ""
        note(f"damaged objects are compiled again: {dropped.damaged[0]}{others}")
    if dropped.unknown:
        unknown = len(dropped.unknown)
        note(f"objects that are compiled again after an interrupted run: {unknown}")
