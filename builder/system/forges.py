"""Posts comments on pull requests of GitHub and merge requests of GitLab."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from builder.errors import BuilderError, SourceError
from builder.system.files import read_regular
from builder.system.network import open_session, redact

if TYPE_CHECKING:
    import requests

_SECONDS = (10.0, 30.0)
"""To connect, and to wait for an answer."""
_TRIES = 3
_BUSY = frozenset((429, 500, 502, 503, 504))
_PAGE, _SMALLER = 100, 10
"""Comments on a page, and how many times fewer there are if a page is too large."""
_MOST_PAGES = 50
"""Pages of comments that are looked at; a request with more has other problems."""
_MOST = 8 << 20
"""Bytes of an event or of a page of comments; one comment of GitLab has a million characters."""
_LONGEST_ANSWER = 60.0
"""Seconds for one answer, from the connection to its last byte."""
_LONGEST_POSTING = 300.0
"""Seconds for all that is asked for one comment."""
_LONGEST = 60_000
"""Characters of a comment, which is fewer than both forges allow."""
_LONGEST_ADDRESS = 500
_REFUSED = frozenset((403, 404))
_NO_CONTENT = 204
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class CommentError(SourceError):
    """A comment could not be posted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """Where the comments of one request are, and how they are written."""

    comments: str
    """URL of the list of comments, to which new ones are posted."""
    one: str
    """URL of a comment, without its number."""
    headers: Mapping[str, str]
    update: str
    """The HTTP method that changes a comment."""
    user: str
    """URL of the account that the token is of."""
    author: str
    """The field of a comment with the account that wrote it."""
    job: str = ""
    """What the job is called, so that jobs of one account do not replace each other's comments."""
    bot: str = ""
    """Login of the bot that is taken for the token's own account if the forge does not name it."""


def find_thread(forge: str, environment: Mapping[str, str]) -> Thread | None:
    """Returns the thread of the request that this job of CI is for; None if it is for none.

    Raises:
        CommentError: the job's variables lack something.
    """
    return {"github": _find_github, "gitlab": _find_gitlab}[forge](environment)


def _find_github(environment: Mapping[str, str]) -> Thread | None:
    number = _read_number(Path(_take(environment, "GITHUB_EVENT_PATH")))
    if number is None:
        return None
    api = environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    repository = _take(environment, "GITHUB_REPOSITORY")
    # A path with `..` would lead to another address of the API.
    if not _REPOSITORY.fullmatch(repository) or {".", ".."} & set(repository.split("/")):
        raise CommentError(f"{repository!r:.200} is not the name of a repository")
    issues = f"{api}/repos/{repository}/issues"
    return Thread(
        comments=f"{issues}/{number}/comments",
        one=f"{issues}/comments",
        headers={
            "Authorization": f"Bearer {_take(environment, 'GITHUB_TOKEN')}",
            "Accept": "application/vnd.github+json",
        },
        update="PATCH",
        user=f"{api}/user",
        author="user",
        job=_name(environment, "GITHUB_WORKFLOW", "GITHUB_JOB"),
        # The token of a job is of this app, which may not ask who it is.
        bot="github-actions[bot]",
    )


def _find_gitlab(environment: Mapping[str, str]) -> Thread | None:
    request = environment.get("CI_MERGE_REQUEST_IID")
    if not request:
        return None
    # For a merge request from a fork, the job may run in the fork.
    name = "CI_MERGE_REQUEST_PROJECT_ID"
    name = name if environment.get(name) else "CI_PROJECT_ID"
    project = quote(_take(environment, name), safe="")
    api = _take(environment, "CI_API_V4_URL").rstrip("/")
    notes = f"{api}/projects/{project}/merge_requests/{quote(request, safe='')}/notes"
    return Thread(
        comments=notes,
        one=notes,
        headers={"PRIVATE-TOKEN": _take(environment, "BUILDER_GITLAB_TOKEN")},
        update="PUT",
        user=f"{api}/user",
        author="author",
        job=_name(environment, "CI_JOB_NAME"),
    )


def _name(environment: Mapping[str, str], *names: str) -> str:
    return json.dumps([environment.get(name, "") for name in names])


def _take(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise CommentError(f"the variable {name} is not set, so no comment can be posted")
    return environment[name]


def _read_number(event: Path) -> int | None:
    """Returns the number of the pull request that an event of GitHub is about."""
    try:
        read = json.loads(read_regular(event, _MOST))
        number = (read.get("pull_request") or {}).get("number")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise CommentError(f"{str(event)!r} is not an event of GitHub: {error}") from None
    is_number = isinstance(number, int) and not isinstance(number, bool) and number > 0
    return number if is_number else None


def post_or_update(
    thread: Thread,
    text: str,
    mark: str,
    *,
    session: Callable[[], requests.Session] = open_session,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Posts `text`, or replaces the own comment that begins with `mark`; returns its address.

    A comment of another account stays as it is, whatever it begins with.

    Raises:
        CommentError: the forge cannot be reached, or refuses.
    """
    body = f"{mark}\n{text}"
    if len(body) > _LONGEST:
        cut = body[:_LONGEST].rpartition("\n")[0]
        body = f"{cut}\n\nThe report is longer; the job's files have all of it.\n"
    with session() as opened:
        opened.headers.update(thread.headers)
        ask = _Asking(opened, sleep, time.monotonic() + _LONGEST_POSTING)
        url, answer = _write(ask, thread, body, mark)
    address = answer.get("html_url") if isinstance(answer, dict) else None
    if isinstance(address, str) and len(address) < _LONGEST_ADDRESS and address.isprintable():
        return address
    return redact(url)


def _write(ask: _Asking, thread: Thread, body: str, mark: str) -> tuple[str, Any]:
    """Replaces the comment of an earlier run, or posts one; returns its URL and the answer."""
    # Anybody may have written a comment with the mark; many tokens could change it.
    marked = [one for one in _list_comments(ask, thread) if _is_marked(one, mark)]
    own = _ask_account(ask, thread) if marked else None
    mine = [one["id"] for one in marked if _is_by(one.get(thread.author), own, thread.bot)]
    for place, number in enumerate(mine):
        url = f"{thread.one}/{number}"
        with suppress(_RefusedError):
            answer = ask.ask(thread.update, url, {"body": body})
            # What two jobs left that posted together, and could not mend.
            for later in mine[place + 1 :]:
                with suppress(CommentError):
                    ask.ask("DELETE", f"{thread.one}/{later}", None)
            return url, answer
    posted = ask.ask("POST", thread.comments, {"body": body})
    # The comment is there, so what fails now is no failure.
    with suppress(CommentError):
        if older := _find_older(ask, thread, posted, mark):
            url = f"{thread.one}/{older}"
            answer = ask.ask(thread.update, url, {"body": body})
            with suppress(CommentError):
                ask.ask("DELETE", f"{thread.one}/{posted['id']}", None)
            return url, answer
    return thread.comments, posted


def _find_older(ask: _Asking, thread: Thread, posted: object, mark: str) -> int | None:
    """Returns the number of the first comment of two jobs that posted their first one together.

    Numbers grow, so of several jobs all but the first find that of the first.
    """
    if not isinstance(posted, dict) or not _is_number(posted.get("id")):
        return None
    account = posted.get(thread.author)
    own = account.get("id") if isinstance(account, dict) else None
    if not _is_number(own):
        return None
    marked = [one for one in _list_comments(ask, thread) if _is_marked(one, mark)]
    numbers = [one["id"] for one in marked if _is_by(one.get(thread.author), own, "")]
    first = min(numbers, default=posted["id"])
    return first if first < posted["id"] else None


def _ask_account(ask: _Asking, thread: Thread) -> int | None:
    """Returns the number of the account that the token is of; None if the forge does not say."""
    try:
        answer = ask.ask("GET", thread.user, None)
    except _RefusedError:
        return None
    number = answer.get("id") if isinstance(answer, dict) else None
    return number if _is_number(number) else None


def _is_by(account: object, own: int | None, bot: str) -> bool:
    """Returns whether a comment's account is the token's own."""
    if not isinstance(account, dict):
        return False
    if own is None:
        return bool(bot) and account.get("type") == "Bot" and account.get("login") == bot
    return _is_number(account.get("id")) and account["id"] == own


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _list_comments(ask: _Asking, thread: Thread) -> Iterator[dict[str, Any]]:
    begin, size = 0, _PAGE
    for _ in range(_MOST_PAGES):
        url = f"{thread.comments}?per_page={size}&page={begin // size + 1}"
        try:
            listed = ask.ask("GET", url, None)
        except _LargeError:
            if size == 1:
                raise
            # One comment fits.
            size //= _SMALLER
            continue
        if not isinstance(listed, list):
            raise CommentError(f"{redact(thread.comments)}: the answer is not a list of comments")
        yield from (one for one in listed if isinstance(one, dict))
        if len(listed) < size:
            return
        begin += size
        while size < _PAGE and begin % (size * _SMALLER) == 0:
            size *= _SMALLER


def _is_marked(comment: Mapping[str, Any], mark: str) -> bool:
    return _is_number(comment.get("id")) and str(comment.get("body", "")).startswith(mark)


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks the API of a forge, and again if it is busy."""

    session: requests.Session
    sleep: Callable[[float], None]
    until: float
    """When `time.monotonic` has this value, nothing more is waited for."""

    def ask(self, method: str, url: str, value: object) -> Any:  # noqa: ANN401 - JSON
        for attempt in range(1, _TRIES + 1):
            try:
                return self._try(method, url, value)
            except _BusyError as error:
                if attempt == _TRIES:
                    raise CommentError(error.message) from None
                self.sleep(min(2.0**attempt, max(self.until - time.monotonic(), 0)))
        raise AssertionError

    def _try(self, method: str, url: str, value: object) -> Any:  # noqa: ANN401 - JSON
        """Asks once, within `_LONGEST_ANSWER`, and not longer than until `until`.

        The timeouts of the session are for one byte each, also of the header. So the answer is read
        beside, and is left there if it takes too long.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise CommentError(f"{redact(url)}: all answers together took too long")
        done: list[Any] = []
        failed: list[BaseException] = []

        def ask() -> None:
            try:
                done.append(self._request(method, url, value))
            except BaseException as error:  # noqa: BLE001 - it is raised below
                failed.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(min(_LONGEST_ANSWER, left))
        if failed:
            raise failed[0]
        if not done:
            raise CommentError(f"{redact(url)}: the answer took too long")
        return done[0]

    def _request(self, method: str, url: str, value: object) -> Any:  # noqa: ANN401 - JSON
        import requests

        try:
            with self.session.request(
                method, url, json=value, timeout=_SECONDS, allow_redirects=False, stream=True
            ) as answer:
                return self._read(answer, url)
        except (requests.RequestException, OSError) as error:
            raise _BusyError(f"{redact(url)}: no answer ({type(error).__name__})") from None
        except ValueError:
            # A token or an address with characters that HTTP cannot send; it is not repeated.
            raise CommentError(f"{redact(url)}: a variable of the job cannot be sent") from None

    def _read(self, answer: requests.Response, url: str) -> Any:  # noqa: ANN401 - JSON
        if answer.status_code in _BUSY:
            raise _BusyError(f"{redact(url)}: HTTP status {answer.status_code}")
        if not answer.ok or answer.is_redirect:
            kind = _RefusedError if answer.status_code in _REFUSED else CommentError
            reason = f"{answer.reason!s:.100}"
            raise kind(f"{redact(url)}: HTTP status {answer.status_code} {reason}")
        content, started = bytearray(), time.monotonic()
        # Unpacked as it comes: a small answer may unpack to any size.
        for part in answer.iter_content(1 << 16):
            content += part
            if len(content) > _MOST:
                raise _LargeError(f"{redact(url)}: the answer has more than {_MOST:,} bytes")
            # Nobody waits for it any more.
            if time.monotonic() - started > _LONGEST_ANSWER:
                raise CommentError(f"{redact(url)}: the answer took too long")
        if answer.status_code == _NO_CONTENT:
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise CommentError(f"{redact(url)}: the answer is not JSON") from None


class _RefusedError(CommentError):
    """The job may not change this comment."""


class _LargeError(CommentError):
    """An answer has too many bytes."""


class _BusyError(BuilderError):
    """One attempt failed, but another one may succeed."""
