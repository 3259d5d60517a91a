"""One id from a request through the queue, the worker and the broker's call, for logs and for what is stored.

The id of a web request is the one of its `X-Request-ID`; work that nobody asked for (beat's) gets one of its own. It is
kept among structlog's context variables, so each log line carries it as `request_id` without being told.
"""

import re
import uuid
from contextlib import AbstractContextManager
from typing import Any

import structlog
from django.db import models

LONGEST = 64
SAFE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST - 1}}}")
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id, flags; all zeros is no id.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def new() -> str:
    return uuid.uuid4().hex


def chosen(given: str, traceparent: str = "") -> str:
    """The caller's own id when it is a short safe word, else that of its distributed trace, else a new one."""
    if SAFE.fullmatch(given):
        return given
    traced = _TRACEPARENT.fullmatch(traceparent)
    return traced[1] if traced else new()


def current() -> str:
    """The id of what is being worked on now; empty outside of any request and task."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))[:LONGEST]


def carrying(request_id: str) -> AbstractContextManager[Any]:
    """While the block runs, its work has this id; an empty one changes nothing."""
    return structlog.contextvars.bound_contextvars(**({"request_id": request_id} if request_id else {}))


def field() -> "models.CharField[str, str]":
    """For rows that say which request made them. The database's own default lets an older release go on writing."""
    return models.CharField(
        "request id",
        max_length=LONGEST,
        blank=True,
        default=current,
        db_default="",
        editable=False,
        help_text="X-Request-ID of the request, or the id of the task, that made it; the log has it too.",
    )


def index(name: str) -> models.Index:
    """Of the rows that have an id."""
    return models.Index(fields=["request_id"], condition=~models.Q(request_id=""), name=name)


def give_task_an_id(task: Any = None, **_: Any) -> None:
    """A receiver of django-structlog's signal at a task's start: what no request has sent is known by the task's id."""
    if not current():
        structlog.contextvars.bind_contextvars(request_id=str(task.request.id))
