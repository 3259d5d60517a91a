"""The settings page for webhooks, in a browser without JavaScript."""

import re

import pytest
from django.core import mail
from django.urls import reverse

from brokerhub.webhooks import tasks
from brokerhub.webhooks.event_types import EventType
from brokerhub.webhooks.models import Delivery, Endpoint
from tests.aggregation.factories import a_connection
from tests.webhooks.receiver import answer

pytestmark = pytest.mark.django_db


def shown_secret(answer):
    [secret] = re.findall(r'value="(whsec_[^"]+)"', answer.content.decode())
    return secret


def test_from_the_empty_page_to_the_first_message(web, receiver):
    empty = web.get(reverse("webhooks:list")).content.decode()
    assert "No webhooks yet" in empty
    for each in EventType:
        assert each.value in empty
        assert each.sentence.replace("'", "&#x27;") in empty
    form = web.get(reverse("webhooks:new"))
    once = form.context["form"]["once"].value()
    wish = {"url": receiver.url, "description": "My ledger", "events": ["sync.finished"], "once": once}
    made = web.post(reverse("webhooks:new"), wish)
    secret = shown_secret(made)
    endpoint = Endpoint.objects.get()
    assert (endpoint.events, endpoint.description) == (["sync.finished"], "My ledger")
    again = web.post(reverse("webhooks:new"), wish)
    assert "has done its work already" in again.content.decode()
    assert Endpoint.objects.count() == 1

    detail = reverse("webhooks:detail", args=[endpoint.pk])
    assert secret not in web.get(detail).content.decode()
    web.post(reverse("webhooks:test", args=[endpoint.pk]))
    waiting = web.get(detail).content.decode()
    assert "every 2s" in waiting, "while it is on its way the log looks again"
    tasks.dispatch()
    receiver.got[0].verified(secret)
    page = web.get(detail).content.decode()
    assert "Delivered" in page
    assert "every 2s" not in page
    delivery = Delivery.objects.get()
    seen = web.get(reverse("webhooks:delivery", args=[endpoint.pk, delivery.pk])).content.decode()
    assert delivery.event.public_id in seen


def test_an_address_inside_is_refused_beside_the_field(web):
    refused = web.post(
        reverse("webhooks:new"), {"url": "https://192.168.1.1/", "once": "00000000-0000-4000-8000-000000000000"}
    )
    assert "not on the public internet" in refused.content.decode()
    assert not Endpoint.objects.exists()


def test_it_is_edited_switched_given_a_new_secret_and_removed(web, hooked, happens, receiver):
    pk = hooked.endpoint.pk
    web.post(reverse("webhooks:edit", args=[pk]), {"url": receiver.url + "/2", "events": [], "description": "New name"})
    assert (hooked.reloaded().url, hooked.endpoint.description) == (receiver.url + "/2", "New name")
    web.post(reverse("webhooks:switch", args=[pk]), {"on": "0"})
    assert hooked.reloaded().state == "off"
    web.post(reverse("webhooks:switch", args=[pk]), {"on": "1"})
    once = web.get(reverse("webhooks:rotate", args=[pk])).context["form"]["once"].value()
    secret = shown_secret(web.post(reverse("webhooks:rotate", args=[pk]), {"overlap": "24", "once": once}))
    happens()
    tasks.dispatch()
    receiver.got[0].verified(secret)
    receiver.got[0].verified(hooked.secret)
    assert "old_secret" not in web.get(reverse("webhooks:detail", args=[pk])).content.decode()
    assert "Remove" in web.get(reverse("webhooks:remove", args=[pk])).content.decode()
    web.post(reverse("webhooks:remove", args=[pk]))
    assert not Endpoint.objects.exists()


def test_one_that_the_hub_switched_off_says_so_here_and_on_the_first_page(web, person, hooked, happens, receiver):
    a_connection(person)
    receiver.behave = answer(410)
    happens()
    tasks.dispatch()
    for page in (reverse("webhooks:list"), reverse("webhooks:detail", args=[hooked.endpoint.pk]), "/"):
        assert "Switched off" in web.get(page).content.decode().replace("switched this webhook off", "Switched off")
    assert len(mail.outbox) == 1
    web.post(reverse("webhooks:switch", args=[hooked.endpoint.pk]), {"on": "1"})
    assert "Switched off" not in web.get("/").content.decode()


def test_the_log_is_paged_narrowed_and_sent_again(web, hooked, happens, receiver):
    for step in range(30):
        happens(step=step)
    tasks.dispatch()
    detail = reverse("webhooks:detail", args=[hooked.endpoint.pk])
    first = web.get(detail)
    assert len(first.context["deliveries"]) == 25
    older = web.get(f"{detail}?before={first.context['older']}")
    assert len(older.context["deliveries"]) == 5
    assert web.get(f"{detail}?state=failed").context["deliveries"] == []
    assert web.get(f"{detail}?state=odd&before=odd").status_code == 200
    delivery = first.context["deliveries"][0]
    web.post(reverse("webhooks:resend", args=[hooked.endpoint.pk, delivery.pk]))
    tasks.dispatch()
    assert receiver.got[-1].id == delivery.event.public_id
    twice = web.post(reverse("webhooks:resend", args=[hooked.endpoint.pk, delivery.pk]), follow=True)
    assert twice.status_code == 200
    assert Delivery.objects.filter(kind="resend").count() == 2


def test_the_log_costs_the_same_for_one_row_as_for_many(web, hooked, happens, django_assert_max_num_queries):
    detail = reverse("webhooks:detail", args=[hooked.endpoint.pk])
    happens()
    tasks.dispatch()
    web.get(detail)
    for _ in range(20):
        happens()
    tasks.dispatch()
    with django_assert_max_num_queries(9):
        web.get(detail)


def test_a_stranger_finds_nothing(stranger_web, hooked):
    assert stranger_web.get(reverse("webhooks:detail", args=[hooked.endpoint.pk])).status_code == 404
    assert stranger_web.post(reverse("webhooks:remove", args=[hooked.endpoint.pk])).status_code == 404
    assert Endpoint.objects.exists()
