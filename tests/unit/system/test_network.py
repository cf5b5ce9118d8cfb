"""The downloader against a scripted session; tests/contract has a real server."""

import pytest
import requests
import urllib3

from builder.system.network import Downloader, DownloadError, redact

URL = "http://mirror.example/pool/a.tar.xz"
CONTENT = b"0123456789" * 10


class Answer:
    """One scripted response; breaks off after `cut` bytes if given."""

    def __init__(self, status, body=b"", *, cut=None, **headers):
        self.status_code = status
        self.reason = "Reason"
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = body
        self.cut = cut
        self.raw = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def stream(self, size, *, decode_content):
        assert decode_content is False
        yield self.body[: self.cut]
        if self.cut is not None:
            raise urllib3.exceptions.ProtocolError("broken")


class Session:
    """Gives the scripted answers in order and keeps the requests' headers."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def get(self, url, *, headers, proxies, timeout, stream):
        assert stream
        assert timeout
        self.requests.append(headers)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def whole(**changes):
    headers = {"Content_Length": str(len(CONTENT)), "ETag": '"1"'}
    return Answer(200, CONTENT, **{**headers, **changes})


def fetch(tmp_path, *answers, **options):
    session = Session(answers)
    waits = []
    downloader = Downloader(session=lambda: session, sleep=waits.append)
    target = tmp_path / "a"
    try:
        downloader.download(URL, target, max_bytes=len(CONTENT), **options)
    finally:
        session.waits = waits
    return session


def left(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_writes_the_file_and_reports_bytes(tmp_path):
    seen = []
    fetch(tmp_path, whole(), on_bytes=seen.append)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)
    assert left(tmp_path) == ["a"]


def test_goes_on_where_it_was_cut_off(tmp_path):
    rest = Answer(206, CONTENT[30:], Content_Range="bytes 30-99/100")
    session = fetch(tmp_path, whole(cut=30), rest)
    assert session.requests == [{}, {"Range": "bytes=30-", "If-Range": '"1"'}]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_goes_on_in_another_process(tmp_path):
    with pytest.raises(DownloadError, match="connection failed"):
        fetch(tmp_path, whole(cut=30), *[requests.ConnectionError()] * 3)
    assert left(tmp_path) == ["a.part", "a.part.json"]
    rest = Answer(206, CONTENT[30:], Content_Range="bytes 30-99/100")
    assert fetch(tmp_path, rest).requests[0]["Range"] == "bytes=30-"
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_begins_anew_when_the_file_has_changed(tmp_path):
    session = fetch(tmp_path, whole(cut=30), whole(ETag='"2"'))
    assert len(session.requests) == 2
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "headers", [{"ETag": 'W/"1"'}, {"ETag": ""}], ids=["weak validator", "no validator"]
)
def test_does_not_continue_without_a_strong_validator(tmp_path, headers):
    session = fetch(tmp_path, whole(cut=30, **headers), whole(**headers))
    assert session.requests == [{}, {}]


def test_another_part_than_asked_for_is_not_used(tmp_path):
    wrong = Answer(206, CONTENT[40:], Content_Range="bytes 40-99/100")
    fetch(tmp_path, whole(cut=30), wrong, whole())
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_an_unsatisfiable_range_begins_anew(tmp_path):
    session = fetch(tmp_path, whole(cut=30), Answer(416), whole())
    assert session.requests[2] == {}


def test_a_short_body_is_tried_again(tmp_path):
    session = fetch(tmp_path, Answer(200, CONTENT[:5], Content_Length="100"), whole())
    assert len(session.requests) == 2
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_file_is_not_tried_again(tmp_path, status):
    with pytest.raises(DownloadError, match="does not have") as caught:
        fetch(tmp_path, Answer(status))
    assert caught.value.reachable
    assert URL in caught.value.message


def test_a_refusal_is_not_tried_again(tmp_path):
    with pytest.raises(DownloadError, match="403"):
        fetch(tmp_path, Answer(403))


def test_an_overloaded_server_is_waited_for(tmp_path):
    session = fetch(tmp_path, Answer(503, Retry_After="7"), Answer(500), whole())
    assert session.waits[0] == 7
    assert session.waits[1] > 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (requests.ConnectTimeout(), "the server did not answer in time"),
        (requests.ReadTimeout(), "the server did not answer in time"),
        (requests.ConnectionError("Failed to resolve 'x'"), "cannot be resolved"),
        (requests.ConnectionError("Connection refused"), "the connection was refused"),
        (requests.ConnectionError("other"), "connection failed"),
        (requests.exceptions.ProxyError(), "proxy"),
        (requests.exceptions.SSLError(), "certificate"),
    ],
)
def test_silence_is_given_up_after_four_attempts(tmp_path, error, said):
    with pytest.raises(DownloadError, match=said) as caught:
        fetch(tmp_path, *[error] * 4)
    assert not caught.value.reachable


def test_a_server_that_always_breaks_off_at_one_place_is_given_up(tmp_path):
    with pytest.raises(DownloadError):
        fetch(tmp_path, *[whole(cut=30, ETag="")] * 4)


@pytest.mark.parametrize("length", [{"Content_Length": "101"}, {"Content_Length": ""}])
def test_more_bytes_than_expected_are_refused_and_not_kept(tmp_path, length):
    answer = Answer(200, CONTENT + b"!", ETag='"1"', **length)
    with pytest.raises(DownloadError, match="at most 100"):
        fetch(tmp_path, answer)
    assert left(tmp_path) == []


@pytest.mark.parametrize("note", ["", "{", "[]", "null", '{"url": 1}'])
def test_a_broken_note_of_an_earlier_run_means_beginning_anew(tmp_path, note):
    (tmp_path / "a.part").write_bytes(b"rubbish")
    (tmp_path / "a.part.json").write_text(note)
    assert fetch(tmp_path, whole()).requests == [{}]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_passwords_are_not_shown():
    assert redact("http://user:secret@host/x") == "http://host/x"
    assert "secret" not in DownloadError("http://u:secret@h/x", "why", reachable=True).message
