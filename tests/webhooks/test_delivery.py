"""From what happened to somebody's program: signed, numbered, tried again, never lost, and nobody waits for others."""

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection as database
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from brokerhub.kernel.errors import NotAllowed
from brokerhub.webhooks import delivering, endpoints, outbox, tasks
from brokerhub.webhooks.event_types import EventType
from brokerhub.webhooks.models import Delivery, Event
from brokerhub.webhooks.sending import Outcome
from tests.webhooks.receiver import answer

pytestmark = pytest.mark.django_db


def test_what_happened_is_posted_once_and_verifies(hooked, receiver, happens):
    event = happens(EventType.CONNECTION_BROKEN, connection={"id": "7"})
    tasks.dispatch()
    tasks.dispatch()
    [got] = receiver.got
    told = got.verified(hooked.secret)
    assert got.path == "/hook"
    assert got.headers["content-type"] == "application/json"
    assert told == {
        "id": event.public_id,
        "type": "connection.broken",
        "timestamp": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "number": 1,
        "schema": 1,
        "data": {"connection": {"id": "7"}},
    }
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.response_status, delivery.response_text) == (
        "delivered", 1, 200, "ok",
    )  # fmt: skip
    assert got.id == event.public_id
    assert "." not in got.id
    assert hooked.reloaded().last_success_at is not None


def test_another_body_or_another_secret_does_not_verify(hooked, receiver, happens):
    happens()
    tasks.dispatch()
    [got] = receiver.got
    with pytest.raises(WebhookVerificationError):
        Webhook(hooked.secret).verify(got.body.replace(b"connection", b"konnection"), got.headers)
    with pytest.raises(WebhookVerificationError):
        got.verified("whsec_" + "QUFB" * 8)


def test_events_are_numbered_in_their_order_for_each_person(hooked, receiver, happens, stranger):
    endpoints.create(user=stranger, url=receiver.url + "/other")
    for number in range(3):
        happens(step=number)
    outbox.record(stranger.pk, EventType.SYNC_FINISHED, {})
    tasks.dispatch()
    happens(step=3)
    tasks.dispatch()
    mine = [got.event for got in receiver.got if got.path == "/hook"]
    assert [(each["number"], each["data"]["step"]) for each in mine] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    [theirs] = [got.event for got in receiver.got if got.path == "/hook/other"]
    assert theirs["number"] == 1


def test_a_test_has_a_number_in_the_same_row_and_what_is_sent_again_keeps_its_own(hooked, person, receiver, happens):
    other, _ = endpoints.create(user=person, url=receiver.url + "/other")
    happens(step=0)
    endpoints.test(hooked.endpoint)
    happens(step=1)
    tasks.dispatch()
    first = Delivery.objects.filter(endpoint=other).order_by("pk")[0]
    endpoints.resend(first)
    tasks.dispatch()
    told = {
        path: [got.event["number"] for got in receiver.got if got.path == path] for path in ("/hook", "/hook/other")
    }
    assert told == {"/hook": [1, 2, 3], "/hook/other": [1, 3, 1]}


def test_an_endpoint_hears_what_it_asked_for_and_nothing_is_kept_that_nobody_wants(person, receiver, hooked, happens):
    endpoints.change(hooked.endpoint, events=[EventType.SYNC_FINISHED])
    assert outbox.record(person.pk, EventType.CONNECTION_ADDED, {}) is None
    happens(EventType.SYNC_FINISHED)
    tasks.dispatch()
    assert receiver.types == ["sync.finished"]
    assert Event.objects.count() == 1


def test_what_is_rolled_back_has_not_happened(hooked, receiver, happens):
    with transaction.atomic():
        happens()
        transaction.set_rollback(True)
    tasks.dispatch()
    assert receiver.got == []


# --- Trying again -----------------------------------------------------------------------------------------------------
def test_a_failure_is_tried_eight_times_in_a_day_with_growing_pauses(hooked, receiver, happens, clock):
    receiver.behave = answer(500, b"broken")
    happens()
    tasks.dispatch()
    began, pauses = timezone.now(), []
    while (delivery := Delivery.objects.get()).state == "pending":
        tasks.dispatch()  # too early: nothing is sent
        assert len(receiver.got) == delivery.attempts
        assert delivery.next_attempt_at is not None
        assert delivery.last_attempt_at is not None
        pause = delivery.next_attempt_at - delivery.last_attempt_at
        pauses.append(pause)
        clock.advance(seconds=(delivery.next_attempt_at - timezone.now()).total_seconds() + 0.01)
        tasks.dispatch()
    assert (delivery.state, delivery.attempts, delivery.response_status) == ("failed", 8, 500)
    assert len({got.id for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.got}) == 8
    for pause, planned in zip(pauses, delivering.PAUSES, strict=True):
        assert planned * 0.9 <= pause <= planned * 1.1
    assert timedelta(hours=21) < timezone.now() - began < timedelta(hours=26)
    assert hooked.reloaded().is_on, "a day is not long enough to give up"


def test_a_receiver_that_comes_back_gets_it_and_counts_as_healthy(hooked, receiver, happens, clock):
    receiver.behave = answer(503)
    happens()
    tasks.dispatch()
    assert hooked.reloaded().failing_since is not None
    receiver.behave = answer(204, b"")
    clock.advance(seconds=10)
    tasks.dispatch()
    assert Delivery.objects.get().state == "delivered"
    assert hooked.reloaded().failing_since is None


def test_a_receiver_may_ask_for_a_longer_pause_from_everything(hooked, receiver, happens, clock):
    receiver.behave = answer(429, Retry_After="1800")
    happens()
    tasks.dispatch()
    receiver.behave = answer(200)
    happens()
    clock.advance(minutes=20)
    tasks.dispatch()
    assert len(receiver.got) == 1
    clock.advance(minutes=11)
    tasks.dispatch()
    assert Delivery.objects.filter(state="delivered").count() == 2


def test_a_redirect_is_a_failure_and_is_not_followed(hooked, receiver, happens, new_receiver):
    other = new_receiver()
    receiver.behave = answer(302, Location=other.url)
    happens()
    tasks.dispatch()
    assert other.got == []
    assert (Delivery.objects.get().state, Delivery.objects.get().response_status) == ("pending", 302)


def test_gone_for_good_switches_it_off_at_once_with_one_mail(hooked, receiver, happens, person):
    receiver.behave = answer(410)
    happens()
    happens()
    tasks.dispatch()
    tasks.dispatch()
    assert len(receiver.got) == 1
    endpoint = hooked.reloaded()
    assert (endpoint.state, endpoint.off_reason) == ("switched_off", "gone")
    assert {each.state for each in Delivery.objects.all()} == {"failed"}
    [message] = mail.outbox
    assert message.to == [person.email]
    assert receiver.url in message.body
    assert f"/settings/webhooks/{endpoint.pk}/" in message.body
    assert outbox.record(person.pk, EventType.SYNC_FINISHED, {}) is None


def test_days_without_a_success_switch_it_off_and_it_can_be_switched_on_again(hooked, receiver, happens, clock):
    receiver.behave = answer(500)
    for _ in range(6):
        happens()
        for _ in range(9):
            tasks.dispatch()
            clock.advance(hours=11)
        if not hooked.reloaded().is_on:
            break
    endpoint = hooked.reloaded()
    assert (endpoint.state, endpoint.off_reason) == ("switched_off", "failing")
    assert endpoint.off_at - endpoint.failing_since >= timedelta(days=5)
    assert len(mail.outbox) == 1
    receiver.behave = answer(200)
    endpoints.change(endpoint, is_on=True)
    happens(EventType.SYNC_FINISHED)
    tasks.dispatch()
    assert receiver.types[-1] == "sync.finished"
    assert hooked.reloaded().failing_since is None


# --- Switched off meanwhile -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_on_again", [False, True])
def test_switched_off_during_an_attempt_it_is_not_tried_again(hooked, receiver, happens, clock, is_on_again):
    happens()
    outbox.address()
    on_its_way = Delivery.objects.select_related("event", "endpoint").get()
    endpoints.change(hooked.endpoint, is_on=False)
    if is_on_again:
        endpoints.change(hooked.endpoint, is_on=True)
    delivering.note(on_its_way, Outcome(status=500))
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.next_attempt_at, delivery.response_status) == ("failed", None, 500)
    clock.advance(days=1)
    tasks.dispatch()
    assert receiver.got == []


def test_what_arrived_after_it_was_switched_off_has_arrived(hooked, happens):
    happens()
    outbox.address()
    on_its_way = Delivery.objects.select_related("event", "endpoint").get()
    endpoints.change(hooked.endpoint, is_on=False)
    delivering.note(on_its_way, Outcome(status=200))
    delivering.note(on_its_way, Outcome(error="A worker that was thought dead says something else."))
    assert Delivery.objects.get().state == "delivered"


@pytest.fixture
def left_over(hooked, happens, monkeypatch):
    """A delivery of an endpoint that was switched off between the look at what is on and the new row."""
    find = outbox._deliveries

    def switched_off_meanwhile(events):
        found = list(find(events))
        endpoints.change(hooked.endpoint, is_on=False)
        return found

    happens()
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "_deliveries", switched_off_meanwhile)
        outbox.address()
    delivery = Delivery.objects.get()
    assert delivery.state == "pending"
    return delivery


def test_to_an_endpoint_that_is_off_only_tests_are_sent(left_over, hooked, receiver):
    endpoints.test(hooked.endpoint)
    delivering.deliver_due()
    assert receiver.types == ["webhook.test"]


def test_what_is_left_over_waits_for_nothing(left_over, receiver):
    tasks.dispatch()
    left_over.refresh_from_db()
    assert (left_over.state, left_over.next_attempt_at) == ("failed", None)
    assert "switched off" in left_over.error
    assert receiver.got == []


def test_what_is_left_over_is_not_sent_when_it_is_switched_on_again(left_over, hooked, receiver):
    endpoints.change(hooked.endpoint, is_on=True)
    tasks.dispatch()
    assert receiver.got == []


def test_nothing_is_sent_again_to_what_was_switched_off_a_moment_ago(hooked, happens):
    happens()
    tasks.dispatch()
    seen = Delivery.objects.select_related("endpoint").get()
    assert seen.endpoint.is_on
    endpoints.change(hooked.endpoint, is_on=False)
    with pytest.raises(NotAllowed, match="is off"):
        endpoints.resend(seen)


# --- Workers that die, and two of them --------------------------------------------------------------------------------
def test_a_worker_killed_after_sending_sends_it_again_with_the_same_id(hooked, receiver, happens, clock, monkeypatch):
    happens()

    def killed(*_args: object) -> None:
        raise SystemExit("killed before it was written down")

    with monkeypatch.context() as patched:
        patched.setattr(delivering, "note", killed)
        with pytest.raises(SystemExit):
            tasks.dispatch()
    tasks.dispatch()
    assert len(receiver.got) == 1, "the dead worker's lease still holds"
    clock.advance(minutes=2)
    tasks.dispatch()
    assert len(receiver.got) == 2
    assert len({got.id for got in receiver.got}) == 1
    assert Delivery.objects.get().state == "delivered"


@pytest.mark.django_db(transaction=True)
def test_two_workers_deliver_each_event_once(hooked, receiver, happens, new_receiver, person):
    other = new_receiver()
    endpoints.create(user=person, url=other.url)
    for step in range(12):
        happens(step=step)
    begin = threading.Barrier(2)

    def work() -> None:
        begin.wait()
        try:
            tasks.dispatch()
        finally:
            database.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for each in (receiver, other):
        assert [got.event["data"]["step"] for got in each.got] == list(range(12))
    assert Delivery.objects.filter(state="delivered", attempts=1).count() == 24


def test_who_hangs_keeps_nobody_else_waiting(hooked, receiver, happens, new_receiver, person):
    quick, release = new_receiver(), threading.Event()
    seen: list[int] = []

    def hang(handler):
        release.wait(20)
        seen.append(len(quick.got))
        answer(200)(handler)

    def last_of_five(handler):
        answer(200)(handler)
        if len(quick.got) == 5:
            release.set()

    receiver.behave, quick.behave = hang, last_of_five
    endpoints.create(user=person, url=quick.url)
    for _ in range(5):
        happens()
    tasks.dispatch()
    assert seen[0] == 5, "the quick one had everything before the slow one answered once"
    assert len(receiver.got) == len(quick.got) == 5


def test_enough_dispatches_at_work_leave_the_other_workers_alone(hooked, receiver, happens):
    happens()
    with delivering.seat() as first, delivering.seat() as second:
        assert first
        assert second
        tasks.dispatch()
        assert receiver.got == []
    tasks.dispatch()
    assert len(receiver.got) == 1


# --- Receivers who misbehave ------------------------------------------------------------------------------------------
def test_of_a_huge_answer_only_the_beginning_is_read_and_kept(hooked, receiver, happens):
    written = []

    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(2000):
                handler.wfile.write(b"x" * 65536)
                written.append(65536)
        except OSError:
            return

    receiver.behave = flood
    happens()
    tasks.dispatch()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.response_text) == ("delivered", "x" * 500)
    assert sum(written) < 100_000_000


@pytest.mark.parametrize("dripping", ["status line", "body"])
def test_an_answer_that_drips_in_is_ended(hooked, receiver, happens, monkeypatch, dripping):
    monkeypatch.setattr("brokerhub.webhooks.sending.DEADLINE", 0.3)
    enough = threading.Event()

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 " if dripping == "status line" else b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while not enough.wait(0.02):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            return

    receiver.behave = drip
    happens()
    tasks.dispatch()
    enough.set()
    delivery = Delivery.objects.get()
    if dripping == "body":
        assert (delivery.state, delivery.response_status) == ("delivered", 200)
    else:
        assert (delivery.state, delivery.response_status) == ("pending", None)
        assert "did not answer within" in delivery.error


def test_who_is_not_there_or_speaks_no_http_is_said_in_words(hooked, receiver, happens, clock):
    def garbage(handler):
        handler.wfile.write(b"220 mail.example ESMTP\r\n")

    receiver.behave = garbage
    happens()
    tasks.dispatch()
    assert "without an answer in HTTP" in Delivery.objects.get().error
    receiver.server.shutdown()
    receiver.server.server_close()
    clock.advance(seconds=10)
    tasks.dispatch()
    assert Delivery.objects.get().error == "It refuses connections."
    assert Delivery.objects.get().attempts == 2


def test_an_answer_that_no_table_can_hold_is_kept_readable(hooked, receiver, happens):
    receiver.behave = answer(200, b"a\0b\xff\xfec")
    happens()
    tasks.dispatch()
    assert Delivery.objects.get().response_text == "a?b??c".replace("?", "\N{REPLACEMENT CHARACTER}")


def test_an_endpoint_removed_on_the_way_leaves_nothing(hooked, receiver, happens):
    happens()
    outbox.address()
    delivery = Delivery.objects.select_related("event", "endpoint").get()
    endpoints.remove(hooked.endpoint)
    delivering.note(delivery, Outcome(status=200))
    assert not Delivery.objects.exists()
