"""Comments on pull requests: found, posted, updated, and what goes wrong."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import requests

from builder.system import forges
from builder.system.forges import CommentError, find_thread, post_or_update

MARK = "<!-- builder-release 0123456789abcdef -->"


@dataclass
class Answer:
    value: object = None
    status_code: int = 200
    reason: str = "OK"
    is_redirect: bool = False

    @property
    def ok(self):
        return self.status_code < 400

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def iter_content(self, size):
        # Bytes as they come, or a value as JSON.
        content = self.value if isinstance(self.value, bytes) else json.dumps(self.value).encode()
        yield from (content[at : at + size] for at in range(0, len(content), size))


@dataclass
class Session:
    answers: list
    asked: list = field(default_factory=list)
    headers: dict = field(default_factory=dict)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def request(self, method, url, *, json, timeout, allow_redirects, stream):
        assert allow_redirects is False  # a token must not go elsewhere
        assert stream  # an answer is not read whole before its size is known
        self.asked.append((method, url, json))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def github(tmp_path):
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    return {
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "example/app",
        "GITHUB_TOKEN": "secret",
        "GITHUB_API_URL": "https://api.example.com/",
    }


GITLAB = {
    "CI_MERGE_REQUEST_IID": "7",
    "CI_PROJECT_ID": "12",
    "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
    "BUILDER_GITLAB_TOKEN": "secret",
}


def post(thread, *answers, text="report"):
    session = Session(list(answers))
    return post_or_update(
        thread, text, MARK, session=lambda: session, sleep=lambda _: None
    ), session


def test_github_posts_a_new_comment(github):
    thread = find_thread("github", github)
    others = [{"id": 1, "body": "hello"}, {"id": 2, "body": f"see {MARK}"}, {"body": MARK}, "odd"]
    said, session = post(thread, Answer(others), Answer({"html_url": "https://x/1"}))
    issues = "https://api.example.com/repos/example/app/issues"
    assert said == "https://x/1"
    assert session.asked == [
        ("GET", f"{issues}/7/comments?per_page=100&page=1", None),
        ("POST", f"{issues}/7/comments", {"body": f"{MARK}\nreport"}),
    ]
    assert session.headers["Authorization"] == "Bearer secret"


ME, OTHER = Answer({"id": 5}), {"id": 6, "type": "User"}
UNKNOWN = Answer(status_code=403, reason="Resource not accessible by integration")
BOT = {"id": 9, "type": "Bot", "login": "github-actions[bot]"}


def test_github_updates_the_comment_of_an_earlier_run_on_any_page(github):
    full = [{"id": n, "body": "x"} for n in range(100)]
    own = [{"id": 500, "body": f"{MARK}\nold", "user": {"id": 5}}]
    _, session = post(find_thread("github", github), Answer(full), Answer(own), ME, Answer({}))
    method, url, _ = session.asked[-1]
    assert (method, url.rpartition("/issues/")[2]) == ("PATCH", "comments/500")


def test_gitlab_posts_and_updates():
    thread = find_thread("gitlab", GITLAB)
    notes = "https://gitlab.example.com/api/v4/projects/12/merge_requests/7/notes"
    _, session = post(thread, Answer([]), Answer({"id": 3}))
    assert session.asked[-1][:2] == ("POST", notes)
    assert session.headers["PRIVATE-TOKEN"] == "secret"
    old = [{"id": 3, "body": f"{MARK}\nold", "author": {"id": 5}}]
    _, session = post(thread, Answer(old), ME, Answer({"id": 3}))
    assert session.asked[1][1] == "https://gitlab.example.com/api/v4/user"
    assert session.asked[-1][:2] == ("PUT", f"{notes}/3")


def test_a_merge_request_from_a_fork_is_one_of_the_project_that_it_goes_to():
    thread = find_thread("gitlab", GITLAB | {"CI_MERGE_REQUEST_PROJECT_ID": "99"})
    assert thread.comments.endswith("/projects/99/merge_requests/7/notes")


def test_a_job_for_no_request_has_no_thread(github, tmp_path):
    (tmp_path / "event.json").write_text("{}")
    assert find_thread("github", github) is None
    assert find_thread("gitlab", {}) is None


@pytest.mark.parametrize("name", ["GITHUB_EVENT_PATH", "GITHUB_REPOSITORY", "GITHUB_TOKEN"])
def test_a_variable_that_is_missing_is_named(github, name):
    with pytest.raises(CommentError, match=name):
        find_thread("github", github | {name: ""})


def test_a_comment_of_somebody_else_is_not_taken_for_the_own(github):
    thread = find_thread("github", github)
    marked = [{"id": n, "body": f"{MARK}\nmine", "user": BOT} for n in (3, 4)]
    refused = Answer(status_code=403, reason="Forbidden")
    _, session = post(thread, Answer(marked), UNKNOWN, refused, Answer({}))
    assert [one[0] for one in session.asked] == ["GET", "GET", "PATCH", "PATCH"]
    gone = Answer(b"", status_code=204, reason="No Content")
    _, session = post(thread, Answer(marked), UNKNOWN, Answer({}), gone)
    asked = [(method, url.rpartition("/")[2]) for method, url, _ in session.asked[-2:]]
    assert asked == [("PATCH", "3"), ("DELETE", "4")]
    _, session = post(thread, Answer(marked), UNKNOWN, refused, refused, Answer({}))
    assert session.asked[-1][0] == "POST"


@pytest.mark.parametrize("account", [ME, UNKNOWN, Answer([]), Answer({"id": True})])
@pytest.mark.parametrize(
    "user",
    [
        *(OTHER, {"id": True}, {}, None, "odd", [5]),
        # Other apps are bots too.
        BOT | {"login": "dependabot[bot]"},
        BOT | {"login": None},
        BOT | {"type": "User"},
        {"id": 9, "type": "Bot"},
    ],
)
@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_a_comment_of_another_account_is_never_changed(github, forge, account, user):
    """A token may be allowed to change all comments of a repository."""
    thread = find_thread(forge, github | GITLAB)
    marked = [{"id": 3, "body": f"{MARK}\ntheirs", thread.author: user}]
    _, session = post(thread, Answer(marked), account, Answer({}))
    assert [one[0] for one in session.asked] == ["GET", "GET", "POST"]


@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_of_two_jobs_that_post_together_the_later_takes_the_comment_of_the_first(github, forge):
    thread = find_thread(forge, github | GITLAB)
    (mine, theirs) = ({thread.author: {"id": n}, "body": f"{MARK}\nreport"} for n in (5, 6))
    posted = Answer(mine | {"id": 9})
    # The forge lists the comment of the other job only after this one has asked for the first time.
    later = [theirs | {"id": 3}, {"id": 4, "body": "x"}, mine | {"id": 8}, mine | {"id": 9}]
    gone = Answer(b"", status_code=204, reason="No Content")
    updated = Answer({"html_url": "https://x/8"})
    said, session = post(thread, Answer([]), posted, Answer(later), updated, gone)
    asked = [(method, url.rpartition("/")[2]) for method, url, _ in session.asked[-2:]]
    assert asked == [(thread.update, "8"), ("DELETE", "9")]
    assert session.asked[-2][2] == {"body": f"{MARK}\nreport"}
    assert said == "https://x/8"
    # Whoever was first leaves both as they are: the other job takes its own away.
    first = Answer([mine | {"id": 9}, mine | {"id": 10}, theirs | {"id": 3}])
    _, session = post(thread, Answer([]), posted, first)
    assert [method for method, _, _ in session.asked] == ["GET", "POST", "GET"]


def test_what_fails_after_a_comment_was_posted_is_no_failure(github):
    thread = find_thread("github", github)
    posted = Answer({"id": 9, "user": {"id": 5}, "html_url": "https://x/9"})
    busy = [Answer(status_code=503, reason="Busy")] * 3
    assert post(thread, Answer([]), posted, *busy)[0] == "https://x/9"
    older = Answer([{"id": 8, "user": {"id": 5}, "body": MARK}])
    said, session = post(thread, Answer([]), posted, older, Answer(status_code=403, reason="No"))
    assert said == "https://x/9"
    assert session.asked[-1][0] == "PATCH"  # nothing is deleted


def test_of_several_bots_only_that_of_jobs_is_taken_for_the_own(github):
    users = [BOT | {"id": 8, "login": "other[bot]"}, BOT, BOT | {"id": 7, "login": "x[bot]"}]
    marked = [{"id": n, "body": f"{MARK}\ntext", "user": by} for n, by in enumerate(users, 3)]
    _, session = post(find_thread("github", github), Answer(marked), UNKNOWN, Answer({}))
    assert session.asked[-1][1].endswith("/comments/4")


def test_gitlab_has_no_accounts_that_are_taken_for_the_own():
    thread = find_thread("gitlab", GITLAB)
    marked = [{"id": 3, "body": f"{MARK}\ntheirs", "author": BOT}]
    _, session = post(thread, Answer(marked), UNKNOWN, Answer({}))
    assert session.asked[-1][0] == "POST"


@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_pages_of_long_comments_are_asked_for_in_parts(github, forge):
    thread = find_thread(forge, github | GITLAB)
    large, long = Answer(b" " * (9 << 20)), {"id": 1, "body": "x" * 700_000}
    own = [{"id": 7, "body": MARK, thread.author: {"id": 5}}]
    answers = (large, Answer([long] * 10), large, *[Answer([long])] * 10, Answer(own), ME)
    _, session = post(thread, *answers, Answer({}))
    pages = [url.partition("?")[2] for method, url, _ in session.asked if method == "GET"]
    assert pages == [
        *("per_page=100&page=1", "per_page=10&page=1", "per_page=10&page=2"),
        *(f"per_page=1&page={n}" for n in range(11, 21)),
        *("per_page=10&page=3", ""),
    ]
    assert session.asked[-1][1].endswith("/7")


@dataclass
class Waiting(Session):
    """An answer whose header or body comes byte by byte, so that no timeout of a byte ends it."""

    header: bool = False
    closed: threading.Event = field(default_factory=threading.Event)

    def request(self, *arguments, **named):
        if self.header:
            self.closed.wait()
        answer = super().request(*arguments, **named)
        answer.iter_content = self.trickle
        return answer

    def trickle(self, _):
        self.closed.wait()
        yield b"[]"


@pytest.mark.parametrize("header", [True, False])
def test_an_answer_that_comes_byte_by_byte_is_not_waited_for(github, monkeypatch, header):
    monkeypatch.setattr(forges, "_LONGEST_ANSWER", 0.1)
    session = Waiting([Answer([]), Answer({})], header=header)
    try:
        with pytest.raises(CommentError, match="took too long"):
            post_or_update(find_thread("github", github), "report", MARK, session=lambda: session)
    finally:
        session.closed.set()


@pytest.mark.parametrize("answer", [Answer([{"id": 1}] * 100), Answer(status_code=503)])
def test_many_slow_answers_are_not_waited_for(github, monkeypatch, answer):
    now = [0.0]
    monkeypatch.setattr(forges, "time", SimpleNamespace(monotonic=lambda: now[0]))

    @dataclass
    class Slow(Session):
        def request(self, *arguments, **named):
            now[0] += 50 if answer.ok else 299
            return super().request(*arguments, **named)

    slept = []
    session = Slow([answer] * 60)
    with pytest.raises(CommentError, match="all answers together took too long"):
        post_or_update(
            find_thread("github", github),
            *("report", MARK),
            session=lambda: session,
            sleep=lambda seconds: (slept.append(seconds), now.append(now.pop() + seconds)),
        )
    assert (len(session.asked), slept) == ((6, []) if answer.ok else (1, [1]))


@pytest.mark.parametrize("address", ["\x1b[31mhttps://x/\nerror: forged", "x" * 2_000_000, 3])
def test_an_odd_address_is_not_shown(github, address):
    said, _ = post(find_thread("github", github), Answer([]), Answer({"html_url": address}))
    assert said.endswith("/issues/7/comments")


@pytest.mark.parametrize("name", ["../../evil/?x=#", "a/..", "a", "a/b/c"])
def test_a_name_that_is_no_repository(github, name):
    with pytest.raises(CommentError, match="not the name of a repository"):
        find_thread("github", github | {"GITHUB_REPOSITORY": name})


@pytest.mark.parametrize("number", ["true", "-5", '"7"'])
def test_a_number_that_is_none(github, tmp_path, number):
    (tmp_path / "event.json").write_text(f'{{"pull_request": {{"number": {number}}}}}')
    assert find_thread("github", github) is None


@pytest.mark.parametrize("text", ["[]", "no JSON", '{"pull_request": 1}', "[" * 100_000])
def test_an_event_that_is_none(github, tmp_path, text):
    (tmp_path / "event.json").write_text(text)
    with pytest.raises(CommentError, match=r"event\.json' is not an event"):
        find_thread("github", github)


def test_a_busy_server_is_asked_again_and_others_are_not(github):
    thread = find_thread("github", github)
    busy, lost = Answer(status_code=503), requests.ConnectionError("lost")
    _, session = post(thread, busy, lost, Answer([]), Answer({}))
    assert len(session.asked) == 4
    with pytest.raises(CommentError, match=r"no answer \(ConnectionError\)"):
        post(thread, lost, lost, lost)
    refused = Answer(status_code=403, reason="Resource not accessible by integration")
    with pytest.raises(CommentError, match="403 Resource not accessible"):
        post(thread, refused)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer({"message": "x"}), "not a list"),
        (Answer(b"no JSON"), "not JSON"),
        (Answer(b"[" * 400_000), "not JSON"),
        (Answer(b"9" * (9 << 20)), "more than 8,388,608 bytes"),
        (
            UnicodeEncodeError("latin-1", "\u20ac", 0, 1, "no"),
            "a variable of the job cannot be sent",
        ),
        (Answer([], status_code=302, is_redirect=True), "302"),
    ],
)
def test_odd_answers(github, answer, said):
    with pytest.raises(CommentError, match=said):
        post(find_thread("github", github), *[answer] * 3)


@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_a_report_that_is_too_long_is_cut_at_a_line(github, forge):
    thread = find_thread(forge, github | GITLAB)
    _, session = post(thread, Answer([]), Answer({}), text="a line of the report\n" * 9000)
    body = session.asked[-1][2]["body"]
    assert len(body) < 60_100
    assert body.endswith("report\n\nThe report is longer; the job's files have all of it.\n")
