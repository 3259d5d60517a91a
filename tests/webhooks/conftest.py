"""A person with a webhook at a real server, and a clock that a test moves. Imported before Django is set up."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

if TYPE_CHECKING:
    from brokerhub.kernel.models import User
    from brokerhub.webhooks.models import Endpoint, Event
    from tests.webhooks.receiver import Receiver


@dataclass
class Hooked:
    """An endpoint with the secret its owner was shown."""

    endpoint: "Endpoint"
    secret: str

    def reloaded(self) -> "Endpoint":
        self.endpoint.refresh_from_db()
        return self.endpoint


@pytest.fixture
def hooked(person: "User", receiver: "Receiver") -> Hooked:
    from brokerhub.webhooks import endpoints

    return Hooked(*endpoints.create(user=person, url=receiver.url))


@pytest.fixture
def happens(person: "User") -> "Callable[..., Event]":
    """Something happens to the person."""
    from brokerhub.webhooks import outbox
    from brokerhub.webhooks.event_types import EventType

    def make(event_type: str = "connection.updated", **data: Any) -> "Event":
        event = outbox.record(person.pk, EventType(event_type), data)
        assert event is not None
        return event

    return make


@dataclass
class Clock:
    ahead: timedelta = timedelta()

    def advance(self, **time: float) -> None:
        self.ahead += timedelta(**time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The hub's clock: it ticks with the real one, and a test moves it on."""
    clock, real = Clock(), timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + clock.ahead)
    return clock
