"""A new key takes over all secrets while the hub is at work, and the old one can go."""

import threading

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.db import transaction

from brokerhub.kernel.models import KeyedRequest
from connections import connection_manager, rotation
from connections.models import Connection

OLD, NEW = b"o" * 32, b"n" * 32
UNDER_SECRET_KEY = {(KeyedRequest, "sealed_answer")}  # gone after a day, whatever becomes of that key


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


def test_a_renewal_under_way_is_kept_whatever_key_it_finds(under_the_old_key, settings, meanwhile):
    before = secrets_of(under_the_old_key)
    settings.CREDENTIALS_KEYS = {"new": NEW, "old": OLD}
    meanwhile(lambda: call_command("rotate_credentials"))
    connection_manager.refresh_credentials(under_the_old_key)
    settings.CREDENTIALS_KEYS = {"new": NEW}
    assert secrets_of(under_the_old_key) != before


@pytest.mark.django_db(transaction=True)
def test_a_row_somebody_has_locked_is_moved_when_it_is_let_go(under_the_old_key, settings):
    settings.CREDENTIALS_KEYS = {"new": NEW, "old": OLD}
    done = []

    def rotate():
        try:
            done.append(rotation.rotate_all()["Sign-ins"].moved)
        finally:
            database.close()

    rotating = threading.Thread(target=rotate)
    with transaction.atomic():
        Connection.objects.select_for_update().get()
        rotating.start()
        rotating.join(timeout=rotation.PAUSE_SECONDS)
        assert done == []
    rotating.join()
    assert done == [1]


def test_no_sealed_column_is_forgotten():
    sealed = {
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.name.startswith("sealed_")
    }
    assert {(column.model, column.column) for column in rotation.SEALED} == sealed - UNDER_SECRET_KEY
