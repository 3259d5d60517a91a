"""A clock of hub and sandbox together that a test moves: whoever sleeps moves it on, and nobody waits."""

import time
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.utils import timezone

from sync import tasks
from sync.models import SyncRun
from tests.plugins.sandbox_server import Sandbox


@dataclass
class Clock:
    """It ticks with the real one, `ahead` seconds before it."""

    sandbox: Sandbox
    ahead: float = 0.0

    def advance(self, seconds: float) -> None:
        self.ahead += max(0.0, seconds)
        self.sandbox.advance(max(0.0, seconds))

    @classmethod
    def put_up(cls, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> "Clock":
        clock, real_time, real_now = cls(sandbox), time.time, timezone.now
        monkeypatch.setattr(time, "time", lambda: real_time() + clock.ahead)
        monkeypatch.setattr(timezone, "now", lambda: real_now() + timedelta(seconds=clock.ahead))
        monkeypatch.setattr(time, "sleep", clock.advance)
        return clock


def work_off(clock: Clock) -> list[SyncRun]:
    """One worker takes what is due until nothing is open any more; the runs in the order of their end."""
    while (still := SyncRun.objects.open()).exists():
        due = SyncRun.objects.due().order_by("wait_until", "pk").first()
        if due is not None:
            tasks.run(due.pk)
            continue
        next_at = still.order_by("wait_until").values_list("wait_until", flat=True)[0]
        assert next_at is not None
        clock.advance((next_at - timezone.now()).total_seconds() + 0.001)
    return list(SyncRun.objects.order_by("finished_at").select_related("connection__user"))
