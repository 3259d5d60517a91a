"""Webhooks by API: made, changed, tried out, given new secrets, looked after; and nobody else's."""

from datetime import timedelta

import pytest
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from brokerhub.kernel.models import Scope
from brokerhub.webhooks import endpoints, tasks
from brokerhub.webhooks.event_types import EventType
from brokerhub.webhooks.models import Delivery, Endpoint
from tests.webhooks.receiver import answer

URL = "/api/v1/webhooks"
pytestmark = pytest.mark.django_db


@pytest.fixture
def program(person, token_client):
    return token_client(person)


def test_a_webhook_is_made_with_a_secret_that_is_shown_once(program, receiver):
    made = program.post(URL, {"url": receiver.url, "events": ["sync.finished", "sync.finished"], "description": "Mine"})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    assert made.json()["events"] == ["sync.finished"]
    again = program.get(f"{URL}/{made.json()['id']}")
    assert "secret" not in again.json()
    [listed] = program.get(URL).json()["results"]
    assert listed == again.json() == {name: value for name, value in made.json().items() if name != "secret"}
    kept = Endpoint.objects.get()
    assert secret[6:].encode() not in bytes(kept.sealed_secrets)
    assert secret not in repr(kept) + str(kept)


def test_a_request_sent_again_has_the_same_secret_and_makes_no_second_webhook(program, receiver, redis_client):
    key = {"HTTP_IDEMPOTENCY_KEY": "make-it-once"}
    first = program.post(URL, {"url": receiver.url}, **key)
    second = program.post(URL, {"url": receiver.url}, **key)
    assert second["Idempotency-Replayed"] == "true"
    assert first.json() == second.json()
    assert Endpoint.objects.count() == 1
    kept = b"".join(redis_client.dump(name) or b"" for name in redis_client.scan_iter())
    assert first.json()["secret"][6:].encode() not in kept


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({}, "url", "required"),
        ({"url": "http://hooks.example.com/"}, "url", "address_refused"),
        ({"url": "https://169.254.169.254/"}, "url", "address_refused"),
        ({"url": "https://hooks.example.com/\0"}, "url", "address_refused"),
        ({"url": "https://hooks.example.com/", "events": ["webhook.test"]}, "events.0", "invalid_choice"),
        ({"url": "https://hooks.example.com/", "events": "all"}, "events", "not_a_list"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(program, body, attr, code):
    refused = program.post(URL, body)
    assert refused.status_code == 400
    assert (refused.json()["attr"], refused.json()["code"]) == (attr, code)
    assert not Endpoint.objects.exists()


def test_there_are_ten_at_most(program, person):
    for number in range(endpoints.MOST):
        endpoints.create(user=person, url=f"https://hooks.example.com/{number}")
    refused = program.post(URL, {"url": "https://hooks.example.com/"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


def test_it_is_changed_switched_and_removed(program, hooked):
    address = f"{URL}/{hooked.endpoint.pk}"
    changed = program.patch(address, {"events": ["health.changed"], "description": "Pager", "is_on": False})
    assert changed.status_code == 200
    assert (changed.json()["events"], changed.json()["description"], changed.json()["state"]) == (
        ["health.changed"], "Pager", "off",
    )  # fmt: skip
    assert program.patch(address, {"url": "https://localhost/", "is_on": True}).status_code == 200, "as the test allows"
    assert program.patch(address, {"url": "gopher://x"}).json()["code"] == "address_refused"
    assert program.get(address).json()["state"] == "on"
    assert program.delete(address).status_code == 204
    assert program.get(address).status_code == 404


def test_what_waits_when_it_is_switched_off_is_not_sent_later(program, hooked, happens, receiver, clock):
    receiver.behave = answer(500)
    happens()
    tasks.dispatch()
    program.patch(f"{URL}/{hooked.endpoint.pk}", {"is_on": False})
    program.patch(f"{URL}/{hooked.endpoint.pk}", {"is_on": True})
    clock.advance(hours=1)
    tasks.dispatch()
    assert len(receiver.got) == 1
    assert Delivery.objects.get().state == "failed"


def test_a_new_secret_overlaps_with_the_old_one(program, hooked, happens, receiver, clock):
    rotated = program.post(f"{URL}/{hooked.endpoint.pk}/rotate", {"overlap_hours": 2})
    new = rotated.json()["secret"]
    assert new != hooked.secret
    assert rotated.json()["old_secret_ends_at"] is not None
    happens()
    tasks.dispatch()
    [got] = receiver.got
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    got.verified(hooked.secret)
    got.verified(new)
    third = program.post(f"{URL}/{hooked.endpoint.pk}/rotate", {}).json()["secret"]
    happens()
    tasks.dispatch()
    receiver.got[-1].verified(new)
    receiver.got[-1].verified(third)
    with pytest.raises(WebhookVerificationError):
        receiver.got[-1].verified(hooked.secret)
    clock.advance(hours=25)
    happens()
    tasks.dispatch()
    assert len(receiver.got[-1].headers["webhook-signature"].split(" ")) == 1


def test_a_secret_in_wrong_hands_ends_at_once(program, hooked, happens, receiver):
    new = program.post(f"{URL}/{hooked.endpoint.pk}/rotate", {"overlap_hours": 0}).json()["secret"]
    happens()
    tasks.dispatch()
    receiver.got[-1].verified(new)
    with pytest.raises(WebhookVerificationError):
        receiver.got[-1].verified(hooked.secret)


def test_a_test_reaches_this_webhook_alone_even_when_it_is_off(program, person, hooked, receiver, new_receiver):
    other = new_receiver()
    endpoints.create(user=person, url=other.url)
    endpoints.change(hooked.endpoint, is_on=False)
    sent = program.post(f"{URL}/{hooked.endpoint.pk}/test")
    assert sent.status_code == 202
    assert (sent.json()["kind"], sent.json()["state"], sent.json()["event"]["type"]) == (
        "test", "pending", "webhook.test",
    )  # fmt: skip
    tasks.dispatch()
    assert receiver.got[0].verified(hooked.secret)["type"] == "webhook.test"
    assert other.got == []
    seen = program.get(f"{URL}/{hooked.endpoint.pk}/deliveries/{sent.json()['id']}").json()
    assert (seen["state"], seen["response_status"]) == ("delivered", 200)


def test_a_test_that_fails_is_not_repeated_and_blames_nobody(program, hooked, receiver, clock):
    receiver.behave = answer(500)
    program.post(f"{URL}/{hooked.endpoint.pk}/test")
    tasks.dispatch()
    clock.advance(hours=1)
    tasks.dispatch()
    assert len(receiver.got) == 1
    assert hooked.reloaded().failing_since is None


def test_the_log_is_read_by_state_and_what_failed_is_sent_again_with_the_same_id(
    program, hooked, happens, receiver, clock
):
    receiver.behave = answer(410, b"moved away")
    happens(EventType.SYNC_FINISHED)
    tasks.dispatch()
    log = f"{URL}/{hooked.endpoint.pk}/deliveries"
    [failed] = program.get(f"{log}?state=failed").json()["results"]
    assert (failed["response_status"], failed["response_text"], failed["attempts"]) == (410, "moved away", 1)
    assert failed["event"]["data"] == {}
    assert program.get(f"{log}?state=delivered").json()["results"] == []
    refused = program.post(f"{log}/{failed['id']}/resend")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict"), "it is off"

    receiver.behave = answer(200)
    program.patch(f"{URL}/{hooked.endpoint.pk}", {"is_on": True})
    again = program.post(f"{log}/{failed['id']}/resend")
    assert (again.status_code, again.json()["kind"]) == (202, "resend")
    assert program.post(f"{log}/{failed['id']}/resend").status_code == 409, "it is on its way already"
    tasks.dispatch()
    assert receiver.got[0].id == receiver.got[1].id == again.json()["event"]["id"]
    assert receiver.got[0].body == receiver.got[1].body
    assert [each["state"] for each in program.get(log).json()["results"]] == ["delivered", "failed"]


def test_event_types_are_listed_with_a_sentence_each(program):
    listed = program.get(f"{URL}/event-types").json()
    assert [each["type"] for each in listed] == EventType.values
    assert all(each["description"].endswith(".") for each in listed)


def test_a_token_needs_the_scope(person, token_client, hooked):
    blind = token_client(person, Scope.PORTFOLIO_READ)
    assert blind.get(URL).json()["code"] == "scope_missing"
    assert blind.post(f"{URL}/{hooked.endpoint.pk}/test").status_code == 403
    assert token_client(person, Scope.WEBHOOKS_WRITE).get(URL).status_code == 200


def test_anothers_webhooks_are_not_there(stranger, token_client, hooked, happens):
    happens()
    tasks.dispatch()
    delivery = Delivery.objects.get()
    client, address = token_client(stranger), f"{URL}/{hooked.endpoint.pk}"
    assert client.get(URL).json()["results"] == []
    assert {
        client.get(address).status_code,
        client.patch(address, {"is_on": False}).status_code,
        client.delete(address).status_code,
        client.post(f"{address}/rotate").status_code,
        client.post(f"{address}/test").status_code,
        client.get(f"{address}/deliveries").status_code,
        client.post(f"{address}/deliveries/{delivery.pk}/resend").status_code,
    } == {404}
    mine, _ = endpoints.create(user=stranger, url="https://hooks.example.com/")
    assert client.get(f"{URL}/{mine.pk}/deliveries/{delivery.pk}").status_code == 404
    assert hooked.reloaded().is_on


def test_old_deliveries_and_their_events_go_after_their_time(hooked, happens, clock, settings):
    from brokerhub.webhooks import retention
    from brokerhub.webhooks.models import Event

    happens()
    tasks.dispatch()
    clock.advance(days=settings.WEBHOOK_KEEP.days - 1)
    happens()
    outstanding = Event.objects.get(number=None)
    assert retention.remove_old() == 0
    tasks.remove_old()
    clock.advance(days=2)
    assert retention.remove_old() == 2
    assert list(Event.objects.all()) == [outstanding]
    tasks.dispatch()
    assert Event.objects.get().number == 2, "a number is never given twice"


def test_secrets_move_to_a_new_key_and_one_that_cannot_be_read_is_said(hooked, happens, receiver, settings):
    from connections import rotation

    old = dict(settings.CREDENTIALS_KEYS)
    settings.CREDENTIALS_KEYS = {"new": b"n" * 32, **old}
    assert rotation.rotate_all()["Webhook secrets"].moved == 1
    settings.CREDENTIALS_KEYS = {"new": b"n" * 32}
    happens()
    tasks.dispatch()
    receiver.got[0].verified(hooked.secret)
    settings.CREDENTIALS_KEYS = {"lost": b"l" * 32}
    happens()
    tasks.dispatch()
    assert len(receiver.got) == 1
    assert "Make a new one" in Delivery.objects.latest("pk").error
    secret = endpoints.rotate(hooked.endpoint)
    happens()
    tasks.dispatch()
    receiver.got[-1].verified(secret)


def test_the_old_secret_ends_when_its_time_is_over(hooked):
    endpoints.rotate(hooked.endpoint, overlap_hours=1)
    now = timezone.now()
    assert len(hooked.endpoint.read_secrets(now)) == 2
    assert len(hooked.endpoint.read_secrets(now + timedelta(hours=1))) == 1
