"""Answering later: a long poll without a database transaction, and without taking all threads of the web server."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection

from sync.models import SyncRun

LONGEST = 25  # seconds, less than proxies and the web server allow
PAUSE = 0.5  # seconds between looks
PLACES = threading.BoundedSemaphore(4)  # of the 8 threads a web process has (Procfile); the others serve pages


def until_changed(look: Callable[[], dict[str, Any]], version: str | None, seconds: int) -> dict[str, Any]:
    """What `look` gives as soon as its "version" is another than `version`; at the latest after `seconds`.

    Without a version it is the first look from which a change is waited for. Each look is a query of its own.
    """
    seen = look()
    known = seen["version"] if version is None else version
    if not seconds or seen["version"] != known or not PLACES.acquire(blocking=False):
        return seen
    try:
        until = time.monotonic() + seconds
        while seen["version"] == known and (left := until - time.monotonic()) > 0:
            if not connection.in_atomic_block:
                connection.close()  # a sleeper needs no connection of the database's few
            time.sleep(min(PAUSE, left))
            seen = look()
        return seen
    finally:
        PLACES.release()


def facts(run: SyncRun) -> tuple[Any, ...]:
    """What of a run is news when it changes."""
    return (run.pk, run.state, run.step, run.done, run.total, run.fetched, run.wait_until, run.mode, len(run.parts))


def version_of(seen: Iterable[Any]) -> str:
    return hashlib.sha256(repr(list(seen)).encode()).hexdigest()[:16]
