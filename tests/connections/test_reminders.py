"""Reminders before a sign-in ends: at 48, 12 and 1 hours, once each for each channel, and anew after a renewal."""

import smtplib
import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection as database
from django.utils import timezone

from connections.models import Connection, ExpiryNotice
from connections.reminders import remind_due, rung_of


@pytest.fixture
def connection(person):
    return Connection.objects.create(
        user=person, broker="schwab", method="schwab_oauth", environment="sandbox", label="My Schwab",
        state="connected", reason_code="", authorization_expires_at=timezone.now() + timedelta(days=7),
    )  # fmt: skip


def ends_in(connection, **time):
    Connection.objects.filter(pk=connection.pk).update(authorization_expires_at=timezone.now() + timedelta(**time))
    connection.refresh_from_db()


@pytest.mark.parametrize(
    ("left", "rung"),
    [
        (timedelta(hours=49), None),
        (timedelta(hours=48), 48),
        (timedelta(hours=13), 48),
        (timedelta(hours=12), 12),
        (timedelta(hours=2), 12),
        (timedelta(minutes=59), 1),
        (timedelta(0), None),
        (timedelta(hours=-1), None),
    ],
)
def test_the_nearest_rung_is_due(left, rung):
    now = timezone.now()
    assert rung_of(now + left, now) == rung


def test_each_rung_is_told_once_for_each_channel(connection):
    for hours in (49, 47, 40, 11, 3, 0.9, 0.1):
        ends = timezone.now() + timedelta(days=2)
        Connection.objects.update(authorization_expires_at=ends)
        ExpiryNotice.objects.update(authorization_expires_at=ends)
        shift = timedelta(days=2) - timedelta(hours=hours)
        Connection.objects.update(authorization_expires_at=ends - shift)
        ExpiryNotice.objects.update(authorization_expires_at=ends - shift)
        remind_due()
        remind_due()
    assert len(mail.outbox) == 3
    assert connection.events.filter(action="reminded").count() == 3


def test_the_mail_says_when_and_leads_to_the_renewal(connection, person, settings):
    ends_in(connection, hours=11)
    remind_due()
    [message] = mail.outbox
    assert message.to == [person.email]
    assert "please sign in again by" in message.subject
    assert f"{settings.BASE_URL}/connections/{connection.pk}/" in message.body


def test_the_state_says_it_too(connection):
    ends_in(connection, hours=30)
    remind_due()
    connection.refresh_from_db()
    assert (connection.state, connection.reason_code) == ("expiring", "authorization_expiring")


def test_a_renewed_sign_in_begins_a_ladder_of_its_own(connection):
    ends_in(connection, hours=11)
    remind_due()
    ends_in(connection, days=7)
    assert remind_due() == 0
    ends_in(connection, hours=11)
    assert remind_due() == 2
    assert len(mail.outbox) == 2


def test_nobody_is_reminded_of_a_connection_that_is_gone(connection):
    ends_in(connection, hours=11)
    Connection.objects.update(state="disconnected")
    assert remind_due() == 0


def test_a_mail_that_cannot_leave_is_tried_again(connection, monkeypatch):
    ends_in(connection, hours=11)

    def refuse(*_args, **_options):
        raise smtplib.SMTPServerDisconnected("away")

    with monkeypatch.context() as away:
        away.setattr("connections.reminders.send_mail", refuse)
        assert remind_due() == 1, "the other channel is told all the same"
    assert mail.outbox == []
    assert remind_due() == 1
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_at_once_send_one(connection):
    ends_in(connection, hours=11)
    gate = threading.Barrier(4)

    def ask():
        try:
            gate.wait()
            remind_due()
        finally:
            database.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mail.outbox) == 1
    assert ExpiryNotice.objects.count() == 2
