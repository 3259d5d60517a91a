"""The connection pages: their words, their owner, their cost."""

import pytest
from django.urls import reverse

from connections.models import Account, Connection
from connections.states import ConnectionState


@pytest.fixture
def connection(person):
    row = Connection.objects.create(
        user=person,
        broker="schwab",
        method="schwab_oauth",
        environment="sandbox",
        label="My Schwab",
        state="connected",
        reason_code="",
    )
    Account.objects.create(connection=row, external_id="A1", mask="345", name="Individual", kind="margin")
    return row


OWN_PAGES = [
    ("connections:detail", "get"),
    ("connections:disconnect", "get"),
    ("connections:disconnect", "post"),
    ("connections:sign_in", "post"),
    ("connections:rename", "post"),
    ("connections:refresh", "post"),
]


@pytest.mark.parametrize(("name", "method"), OWN_PAGES)
def test_somebody_elses_connection_does_not_exist(stranger_web, connection, name, method):
    assert getattr(stranger_web, method)(reverse(name, args=[connection.pk])).status_code == 404


@pytest.mark.parametrize("name", ["connections:list", "connections:cards", "connections:new"])
def test_whoever_has_not_signed_in_is_asked_to(client, name):
    assert client.get(reverse(name)).status_code == 302


def test_a_stranger_sees_none_of_them_in_the_list(stranger_web, connection):
    assert "My Schwab" not in stranger_web.get(reverse("connections:list")).content.decode()


def test_with_no_connection_the_page_invites_to_make_one(web):
    assert "No broker is connected yet" in web.get(reverse("connections:list")).content.decode()


@pytest.mark.parametrize(
    ("state", "reason", "words", "action"),
    [
        (ConnectionState.NEEDS_REAUTH, "authorization_expired", "has run out", "Sign in again"),
        (ConnectionState.RATE_LIMITED, "rate_limit", "only so many requests", None),
        (ConnectionState.EXPIRING, "authorization_expiring", "asks for a new sign-in", "Renew now"),
        (ConnectionState.DISCONNECTED, "by_user", "You disconnected it", "Connect again"),
        (ConnectionState.PENDING_AUTH, "consent_denied", "Access was declined", "Try again"),
    ],
)
def test_a_card_says_what_is_the_matter_and_what_to_do(web, connection, state, reason, words, action):
    Connection.objects.update(state=state, reason_code=reason)
    shown = web.get(reverse("connections:cards")).content.decode()
    assert words in shown
    assert state.label in shown
    assert (action or "Sync now") in shown


def test_the_list_costs_the_same_for_many_as_for_one(web, person, connection, django_assert_max_num_queries):
    web.get(reverse("connections:list"))
    with django_assert_max_num_queries(50) as few:
        web.get(reverse("connections:list"))
    for number in range(12):
        row = Connection.objects.create(
            user=person, broker="schwab", method="schwab_oauth", environment="sandbox", label=f"No {number}"
        )
        Account.objects.create(connection=row, external_id=f"A{number}", name="Account")
    with django_assert_max_num_queries(len(few)):
        web.get(reverse("connections:list"))


def test_a_connection_can_be_renamed(web, connection):
    web.post(reverse("connections:rename", args=[connection.pk]), {"label": "Retirement"})
    connection.refresh_from_db()
    assert connection.label == "Retirement"
    web.post(reverse("connections:rename", args=[connection.pk]), {"label": " "})
    connection.refresh_from_db()
    assert connection.label == "Retirement"


def test_a_name_is_text_and_never_markup(web, connection):
    web.post(reverse("connections:rename", args=[connection.pk]), {"label": "<script>alert(1)</script>"})
    assert "<script>alert" not in web.get(reverse("connections:list")).content.decode()


def test_signing_in_needs_a_post(web, connection):
    assert web.get(reverse("connections:sign_in", args=[connection.pk])).status_code == 405
