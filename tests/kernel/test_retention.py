"""What is past its time goes, by one table of rules; what books rest on stays."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db.models import Model
from django.utils import timezone
from django.utils.html import escape

from aggregation import ledger
from aggregation.models import Source, Transaction
from brokerhub import retention
from brokerhub.kernel.models import ApiToken, User
from brokerhub.tasks import remove_old
from comparison.models import CostSimulation
from connections.models import Authorization, ConnectionEvent, ExpiryNotice
from tests.aggregation.factories import a_connection, a_record, an_account

pytestmark = pytest.mark.django_db


def age(row: Model, field: str, days: float) -> Model:
    """Make the row look as if it had been written so long ago."""
    type(row)._base_manager.filter(pk=row.pk).update(**{field: timezone.now() - timedelta(days=days)})
    return row


@pytest.fixture
def rows(person: User) -> dict[str, tuple[Model, Model]]:
    """For each kind of row one past its time and one within."""
    now, connection = timezone.now(), a_connection(person)
    about = {"user": person, "content_type": ContentType.objects.get_for_model(User), "action_flag": CHANGE}
    address = EmailAddress.objects.create(user=person, email=person.email)
    cost = {"user": person, "inputs": {}, "catalogue_version": 0, "engine_version": 1, "state": "done"}

    def session(key: str, days: float) -> Session:
        return Session.objects.create(session_key=key, session_data="", expire_date=now - timedelta(days=days))

    def device(key: str, days: float) -> UserSession:
        row = UserSession.objects.create(user=person, session_key=key, ip="127.0.0.1", user_agent="a browser")
        age(row, "last_seen_at", days)
        return row

    def begun(key: str, days: float) -> Authorization:
        ended = now - timedelta(days=days)
        return Authorization.objects.create(connection=connection, key_digest=key, redirect_uri="x", expires_at=ended)

    def token(days: float) -> Model:
        row, _ = ApiToken.objects.create(user=person)
        return age(row, "expiry", days)

    def reminder(days: float) -> Model:
        row = ExpiryNotice.objects.create(
            connection=connection, authorization_expires_at=now, hours_before=int(days), channel="email"
        )
        return age(row, "sent_at", days)

    return {
        "sessions": (session("old", 31), session("new", 29)),
        "devices": (device("gone", 31), device("gone-lately", 29)),
        "sign-ins": (begun("old", 31), begun("new", 29)),
        "tokens": (token(31), token(29)),
        "links": (
            age(EmailConfirmation.create(address), "created", 34),
            age(EmailConfirmation.create(address), "created", 32),
        ),
        "reminders": (reminder(401), reminder(399)),
        "comparisons": (
            age(CostSimulation.objects.create(key="a", **cost), "created_at", 91),
            age(CostSimulation.objects.create(key="b", **cost), "created_at", 89),
        ),
        "log": (
            age(LogEntry.objects.create(object_repr="a", **about), "action_time", 11),
            age(LogEntry.objects.create(object_repr="b", **about), "action_time", 9),
        ),
        "events": (
            age(ConnectionEvent.objects.create(connection=connection, action="a"), "created_at", 21),
            age(ConnectionEvent.objects.create(connection=connection, action="b"), "created_at", 19),
        ),
    }


def left(rows: dict[str, tuple[Model, Model]]) -> dict[str, list[bool]]:
    return {name: [type(row)._base_manager.filter(pk=row.pk).exists() for row in pair] for name, pair in rows.items()}


def test_each_kind_of_row_goes_when_it_is_past_its_time(rows: dict[str, Any], settings: Any) -> None:
    settings.KEEP_DAYS = settings.KEEP_DAYS | {"admin_log": 10, "connection_events": 20}
    remove_old()
    assert left(rows) == {name: [False, True] for name in rows}


def test_operators_log_and_connections_history_are_kept_for_ever_unless_told_otherwise(rows: dict[str, Any]) -> None:
    remove_old()
    assert left(rows)["log"] == left(rows)["events"] == [True, True]


def test_a_device_whose_session_lives_is_kept_however_long_it_was_not_seen(person: User) -> None:
    Session.objects.create(session_key="k", session_data="", expire_date=timezone.now() + timedelta(days=1))
    row = UserSession.objects.create(user=person, session_key="k", ip="127.0.0.1", user_agent="a browser")
    age(row, "last_seen_at", 300)
    remove_old()
    assert UserSession.objects.filter(pk=row.pk).exists()


def test_the_books_are_touched_by_no_rule(person: User) -> None:
    ledger.book(account=an_account(a_connection(person)), records=[a_record()], source=Source.API, run_id=None)
    now = timezone.now() + timedelta(days=100_000)
    found = [rule.due(now) for rule in retention.rules()]
    assert Transaction not in {rows.model for rows in found if rows is not None}
    remove_old()
    assert Transaction.objects.count() == 1


def test_the_operators_page_shows_every_rule_and_what_is_due(rows: dict[str, Any], sign_up: Any, web: Any) -> None:
    assert web.get("/admin/retention/").status_code == 302, "for operators only"
    operator = sign_up(User.objects.create_superuser("root@example.com", "correct horse battery"))
    shown = operator.get("/admin/retention/").content.decode()
    for rule in retention.rules():
        assert escape(rule.what) in shown
        assert rule.words in shown
    assert "KEEP_ENDED_ACCESS_DAYS" in shown
