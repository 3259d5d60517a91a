"""What operators see of webhooks first: those that are off, those that fail, and what nobody sends."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from brokerhub.kernel.models import User
from brokerhub.webhooks import delivering, endpoints, outbox
from brokerhub.webhooks.models import Delivery, Event
from tests.webhooks.receiver import answer


@pytest.fixture
def desk(db: None, sign_up) -> Client:
    browser: Client = sign_up(User.objects.create_superuser("operator@example.com", "correct horse battery"))
    return browser


def piles(desk: Client, title: str) -> dict[str, int]:
    """By their words; each leads to a list of just these rows."""
    waiting = desk.get("/admin/").context["waiting"]
    found = [pile for it in waiting if it.item.title == title for pile in it.piles]
    for pile in found:
        assert desk.get(pile.link).context["cl"].result_count == pile.count
    return {pile.words: pile.count for pile in found}


def send() -> None:
    outbox.address()
    delivering.deliver_due()


def test_what_fails_is_said_by_what_came_back_and_ends_with_a_success(desk, hooked, receiver, happens, clock):
    receiver.behave = answer(500)
    happens()
    send()
    assert piles(desk, "Webhooks that fail") == {"It answers 500.": 1}
    receiver.behave = answer(200)
    clock.advance(seconds=10)
    send()
    assert piles(desk, "Webhooks that fail") == {}


def test_what_is_switched_off_is_said_by_its_reason_and_its_owner_switching_it_on_ends_it(
    desk, hooked, receiver, happens
):
    receiver.behave = answer(410)
    happens()
    send()
    assert piles(desk, "Webhooks switched off by the hub") == {"It answered that it is gone for good (410).": 1}
    assert piles(desk, "Webhooks that fail") == {}
    endpoints.change(hooked.reloaded(), is_on=True)
    assert piles(desk, "Webhooks switched off by the hub") == {}


def test_what_nobody_sends_is_said_after_ten_minutes(desk, hooked, happens):
    happens()
    assert piles(desk, "Webhooks that nobody sends") == {}
    Event.objects.update(occurred_at=timezone.now() - timedelta(minutes=11))
    assert piles(desk, "Webhooks that nobody sends") == {"Events that have no deliveries yet": 1}
    outbox.address()
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=11))
    assert piles(desk, "Webhooks that nobody sends") == {"Deliveries that are due": 1}
    delivering.deliver_due()
    assert piles(desk, "Webhooks that nobody sends") == {}


def test_what_waits_for_its_next_try_or_for_a_pause_is_nobodys_fault(desk, hooked, receiver, happens):
    receiver.behave = answer(503, Retry_After="3600")
    happens()
    send()
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=11))
    assert piles(desk, "Webhooks that nobody sends") == {}
    assert piles(desk, "Webhooks that fail") == {"It answers 503.": 1}
