"""Comments on pull requests: found, posted, updated, and what goes wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
import requests

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


def test_github_updates_the_comment_of_an_earlier_run_on_any_page(github):
    full = [{"id": n, "body": "x"} for n in range(100)]
    own = [{"id": 500, "body": f"{MARK}\nold"}]
    _, session = post(find_thread("github", github), Answer(full), Answer(own), Answer({}))
    method, url, _ = session.asked[-1]
    assert (method, url.rpartition("/issues/")[2]) == ("PATCH", "comments/500")


def test_gitlab_posts_and_updates():
    thread = find_thread("gitlab", GITLAB)
    notes = "https://gitlab.example.com/api/v4/projects/12/merge_requests/7/notes"
    _, session = post(thread, Answer([]), Answer({"id": 3}))
    assert session.asked[-1][:2] == ("POST", notes)
    assert session.headers["PRIVATE-TOKEN"] == "secret"
    _, session = post(thread, Answer([{"id": 3, "body": f"{MARK}\nold"}]), Answer({"id": 3}))
    assert session.asked[-1][:2] == ("PUT", f"{notes}/3")


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
    marked = [{"id": n, "body": f"{MARK}\nmine"} for n in (3, 4)]
    refused = Answer(status_code=403, reason="Forbidden")
    _, session = post(thread, Answer(marked), refused, Answer({}))
    assert [one[0] for one in session.asked] == ["GET", "PATCH", "PATCH"]
    _, session = post(thread, Answer(marked), refused, refused, Answer({}))
    assert session.asked[-1][0] == "POST"


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
        (Answer(b" " * (5 << 20)), "more than 4,194,304 bytes"),
        (
            UnicodeEncodeError("latin-1", "\u20ac", 0, 1, "no"),
            "a variable of the job cannot be sent",
        ),
        (Answer([], status_code=302, is_redirect=True), "302"),
    ],
)
def test_odd_answers(github, answer, said):
    with pytest.raises(CommentError, match=said):
        post(find_thread("github", github), answer)


def test_a_report_that_is_too_long_is_cut_at_a_line(github):
    thread = find_thread("github", github)
    _, session = post(thread, Answer([]), Answer({}), text="a line of the report\n" * 9000)
    body = session.asked[-1][2]["body"]
    assert len(body) < 65_536
    assert body.endswith("report\n\nThe report is longer; the job's files have all of it.\n")
