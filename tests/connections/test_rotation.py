"""A new key takes over all secrets while the hub is at work, and the old one can go."""

from datetime import timedelta

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import CommandError, call_command
from django.utils import timezone

from connections import connection_manager, rotation
from connections.models import EPOCH, Connection

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
def under_the_old_key(connect, person, settings):
    settings.CREDENTIALS_KEYS = {"old": OLD}
    TOTP.activate(person, generate_totp_secret())
    RecoveryCodes.activate(person)
    return connect(person)


def secrets_of(connection):
    return Connection.objects.get(pk=connection.pk).read_credentials()


def codes_of(person):
    return RecoveryCodes(person.authenticator_set.get(type="recovery_codes")).get_unused_codes()


def test_everything_opens_with_the_new_key_alone(under_the_old_key, person, settings, capsys):
    secrets, codes = secrets_of(under_the_old_key), codes_of(person)
    settings.CREDENTIALS_KEYS = {"new": NEW, "old": OLD}
    call_command("rotate_credentials")
    said = capsys.readouterr().out
    assert "Sign-ins: 1 moved" in said
    assert "Second factors: 2 moved" in said
    settings.CREDENTIALS_KEYS = {"new": NEW}
    assert secrets_of(under_the_old_key) == secrets
    assert codes_of(person) == codes
    connection_manager.refresh_credentials(Connection.objects.get())


def test_rotating_twice_changes_nothing(under_the_old_key, settings, capsys):
    settings.CREDENTIALS_KEYS = {"new": NEW, "old": OLD}
    call_command("rotate_credentials")
    before = bytes(Connection.objects.get().sealed_credentials)
    call_command("rotate_credentials")
    assert bytes(Connection.objects.get().sealed_credentials) == before
    assert "Sign-ins: 0 moved, 1 already there" in capsys.readouterr().out


def test_a_key_that_is_gone_is_said_and_the_secret_left_alone(under_the_old_key, settings):
    before = bytes(Connection.objects.get().sealed_credentials)
    settings.CREDENTIALS_KEYS = {"new": NEW}
    with pytest.raises(CommandError, match="none of the keys"):
        call_command("rotate_credentials")
    assert bytes(Connection.objects.get().sealed_credentials) == before


def test_a_row_that_is_being_renewed_is_left_until_that_is_over(under_the_old_key, settings, monkeypatch):
    settings.CREDENTIALS_KEYS = {"new": NEW, "old": OLD}
    before = bytes(Connection.objects.get().sealed_credentials)
    Connection.objects.update(refresh_held_until=timezone.now() + timedelta(minutes=2))
    visits = []

    def end_of_the_renewal(_seconds):
        assert bytes(Connection.objects.get().sealed_credentials) == before
        visits.append(Connection.objects.update(refresh_held_until=EPOCH))

    monkeypatch.setattr("time.sleep", end_of_the_renewal)
    assert rotation.rotate_connections().moved == 1
    assert visits == [1]
