"""A new key takes over thousands of sign-ins while other processes read them all the time."""

import base64
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from connections.brokers.records import AuthMethod, Broker
from connections.models import Connection
from connections.tokens import read_grant

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = b"o" * 32, b"n" * 32
READERS, PATIENCE = 2, 120  # processes; seconds


def secrets_of(connection):
    return {"access_token": f"token of {connection.pk}"}


def sign_in(person, count):
    """So many stored sign-ins, each with a secret of its own."""
    connections = [
        Connection(
            user=person,
            broker=Broker.SCHWAB,
            method=AuthMethod.SCHWAB_OAUTH,
            environment="sandbox",
            label=f"Login {number}",
            broker_user_key=f"{number}",
            access_expires_at=timezone.now() + timedelta(hours=1),
        )
        for number in range(count)
    ]
    for connection in connections:
        connection.seal_credentials(secrets_of(connection))
    Connection.objects.bulk_create(connections, batch_size=1_000)


def reader(environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.endurance.reader"],
        cwd=ROOT,
        env=environment
        | {"CREDENTIALS_KEYS": f"new:{base64.b64encode(NEW).decode()},old:{base64.b64encode(OLD).decode()}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.endurance)])
def test_reads_go_on_while_a_key_is_replaced_and_the_old_one_can_go(count, person, settings, hub_environment, measured):
    settings.CREDENTIALS_KEYS = {"old": OLD}
    sign_in(person, count)
    readers = [reader(hub_environment) for _ in range(READERS)]
    assert [process.stdout.readline() for process in readers] == ["reading\n"] * READERS
    settings.CREDENTIALS_KEYS = {"new": NEW, "old": OLD}
    with measured(f"{count:,} sign-ins under a new key, beside {READERS} readers"):
        call_command("rotate_credentials")
    said = [process.communicate(timeout=PATIENCE) for process in readers]
    assert [process.returncode for process in readers] == [0] * READERS, said
    assert all(int(read) > count for read, _ in said), "they went on reading"

    settings.CREDENTIALS_KEYS = {"new": NEW}
    connections = list(Connection.objects.all())
    assert {bytes(connection.sealed_credentials)[:4] for connection in connections} == {b"\x03new"}
    assert [read_grant(connection).secrets for connection in connections] == list(map(secrets_of, connections))
    assert len(connections) == count
