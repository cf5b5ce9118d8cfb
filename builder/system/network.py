"""Downloads files: resumes, retries, and reports what went wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from builder import __version__
from builder.errors import SourceError
from builder.system.partial import PartialFile
from builder.system.trees import make_folders

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 16
# Two timeouts: a host that is off should be noticed soon, a slow one may take its time.
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_RETRIED = (408, 416, 425, 429, 500, 502, 503, 504)
"""HTTP status codes that can change with time; for 416, the partial file is removed first."""


class DownloadError(SourceError):
    """A URL could not be downloaded."""

    def __init__(self, url: str, reason: str, *, reachable: bool) -> None:
        super().__init__(f"{redact(url)}: {reason}")
        self.reason = reason
        self.reachable = reachable
        """Whether the server answered, so that it makes sense to ask it for other files."""


class _Interrupted(Exception):  # noqa: N818 - not an error yet: the transfer is tried again
    """One attempt failed, but another one may succeed."""

    def __init__(self, reason: str, *, reachable: bool, wait: float = 0) -> None:
        super().__init__(reason)
        self.reachable = reachable
        self.wait = wait


def open_session() -> requests.Session:
    """Returns a session that identifies builder, and asks for files without compression."""
    import requests

    session = requests.Session()
    session.headers.update({"User-Agent": f"builder/{__version__}", "Accept-Encoding": "identity"})
    return session


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloader:
    """Downloads files over http(s), with the given proxies or those in the environment."""

    session: Callable[[], requests.Session] = open_session
    proxies: Mapping[str, str] = field(default_factory=dict)
    """Scheme or `scheme://host` -> URL of the proxy."""
    attempts: int = 4
    """Number of attempts in a row without any new bytes, after which a download fails."""
    sleep: Callable[[float], None] = time.sleep

    def download(
        self,
        url: str,
        target: Path,
        *,
        max_bytes: int,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Downloads `url` to `target`, and continues an earlier download that was interrupted.

        The unfinished file is `<target>.part`. It is continued only if the server proves with a
        validator that it still has the same file (RFC 9110, section 13.1.5).

        Args:
            url: an http or https URL.
            target: path of the complete file.
            max_bytes: a larger file is an error, because it cannot be the expected one.
            on_bytes: is called with the number of bytes that have arrived.

        Raises:
            DownloadError: the server does not have the file, or all attempts failed.
        """
        make_folders(target.parent)
        partial = PartialFile(target)
        failures, furthest = 0, partial.size(url)
        with self.session() as session:
            while True:
                try:
                    self._attempt(session, url, partial, max_bytes, on_bytes)
                except _Interrupted as error:
                    # A download that makes progress may fail as often as it likes.
                    failures = 1 if partial.size(url) > furthest else failures + 1
                    furthest = max(furthest, partial.size(url))
                    if failures >= self.attempts:
                        raise DownloadError(url, str(error), reachable=error.reachable) from error
                    # Twice as long after each failure, so that a busy server is left alone.
                    self.sleep(max(error.wait, 0.5 * 2**failures))
                else:
                    partial.finish()
                    return

    def _attempt(
        self,
        session: requests.Session,
        url: str,
        partial: PartialFile,
        max_bytes: int,
        on_bytes: Callable[[int], None],
    ) -> None:
        import requests
        import urllib3

        try:
            with session.get(
                url,
                headers=partial.request_headers(url),
                proxies=dict(self.proxies) or None,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                stream=True,
            ) as response:
                if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    partial.discard()
                _check_status(url, response)
                _receive(url, response, partial, max_bytes, on_bytes)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _Interrupted(_describe(error), reachable=False) from error
        except ValueError as error:
            # A redirect to what is no URL.
            raise DownloadError(url, f"it leads to no URL ({error})", reachable=True) from error


def _check_status(url: str, response: requests.Response) -> None:
    status = response.status_code
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise DownloadError(url, "the server does not have this file", reachable=True)
    reason = f"HTTP status {status} {response.reason or ''}".rstrip()
    if status in _RETRIED:
        after = response.headers.get("Retry-After", "")
        # At most 30 seconds, whatever the server asks for.
        wait = min(float(after), 30.0) if after.isdigit() else 0.0
        raise _Interrupted(reason, reachable=True, wait=wait)
    raise DownloadError(url, reason, reachable=True)


def _receive(
    url: str,
    response: requests.Response,
    partial: PartialFile,
    max_bytes: int,
    on_bytes: Callable[[int], None],
) -> None:
    total = _continue_or_start(url, response, partial)
    if total is not None and total > max_bytes:
        partial.discard()
        raise _too_large(url, total, max_bytes)
    done = partial.path.stat().st_size if partial.path.exists() else 0
    with partial.path.open("ab") as stream:
        # Not decoded: the digest of a pin is of the bytes that the server stores.
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            done += len(chunk)
            if done > max_bytes:
                partial.discard()
                raise _too_large(url, done, max_bytes)
            stream.write(chunk)
            on_bytes(done)
    if total is not None and done != total:
        raise _Interrupted(f"the connection ended after {done} of {total} bytes", reachable=True)


def _continue_or_start(url: str, response: requests.Response, partial: PartialFile) -> int | None:
    """Prepares the partial file for the answer; returns the size of the whole file, if known."""
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        content_range = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        # A server may answer with another range than was asked for (RFC 9110, section 14.2).
        if content_range and int(content_range[1]) == partial.size(url):
            return int(content_range[2]) if content_range[2] != "*" else None
        partial.discard()
        raise _Interrupted(
            "the server sent another part of the file than requested", reachable=True
        )
    etag = response.headers.get("ETag", "")
    # A weak ETag does not promise the same bytes, so it cannot be used to resume (RFC 9110, 8.8.1).
    strong = etag if etag and not etag.startswith("W/") else None
    partial.start(url, strong or response.headers.get("Last-Modified"))
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _too_large(url: str, size: int, limit: int) -> DownloadError:
    return DownloadError(
        url, f"the server sends {size:,} bytes, but at most {limit:,} are expected", reachable=True
    )


def _describe(error: Exception) -> str:
    """Returns the reason of an error, without the technical text that requests adds to it."""
    import requests
    import urllib3

    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy cannot be reached"
    if isinstance(error, requests.exceptions.SSLError):
        return "the certificate of the server cannot be verified"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError):
        text = str(error)
        # requests has no class for this, and its text depends on the version of urllib3.
        if re.search(r"resol(?:ve|ution)", text, re.IGNORECASE):
            return "the host name cannot be resolved"
        return "the connection was refused" if "refused" in text else "the connection failed"
    return f"the transfer was interrupted ({type(error).__name__})"


def redact(url: str) -> str:
    """Returns `url` without a user name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is no URL"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
