"""The report of a release as Markdown, and as a comment where the change is reviewed."""

from __future__ import annotations

import hashlib
import json

from builder.api.release_document import describe_release
from builder.api.release_report import ReleaseReport
from builder.formats.documents import render_markdown
from builder.system.forges import CommentError, find_thread, post_or_update
from builder.system.process import Runner


def render_release(report: ReleaseReport) -> str:
    """Returns the report of a release as Markdown."""
    return render_markdown(describe_release(report))


def post_comment(forge: str, text: str, name: str, key: str = "") -> str:
    """Posts `text` on the request that this job of CI is for; returns what was done, in words.

    A job has one comment for each `name` and `key`, which its later runs replace. A failure to post
    is told and is no error: the release is as good without its comment.

    Args:
        forge: `github` or `gitlab`.
        text: Markdown.
        name: what the comment is about, e.g. the path of builder.yaml.
        key: what tells jobs apart whose variables are the same, e.g. the legs of a matrix.
    """
    try:
        thread = find_thread(forge, Runner.inherit().environment)
        if thread is None:
            return "none, since this job is not for a pull request or merge request"
        parts = [name, thread.job, *((key,) if key else ())]
        about = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return post_or_update(thread, text, f"<!-- builder-release {about[:16]} -->")
    except CommentError as error:
        return f"not posted: {error.message}"
