"""Access that a sign-in gave and the hub does not keep is handed back: nobody would have it any more."""

from urllib.parse import parse_qs, urlsplit

import pytest

from connections import connection_manager
from connections.brokers.records import AuthMethod, Broker
from connections.errors import DifferentLogin
from connections.models import Connection, UnfinishedRevocation

pytestmark = pytest.mark.usefixtures("unpaced")


def living(sandbox, login):
    """How many sign-ins of this login the broker still honours; it ends them to count them."""
    return sandbox.end_tokens(login, revoke=True, broker="robinhood")["revoked"]


def sign_in(sandbox, connection, login):
    landed = sandbox.sign_in(connection_manager.start_oauth(connection=connection), login)
    answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
    return connection_manager.complete_oauth(user=connection.user, answer=answer)


def test_another_login_that_is_refused_has_no_access_left(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person)
    with pytest.raises(DifferentLogin):
        sign_in(sandbox, connection, "maria")
    assert (living(sandbox, "maria"), living(sandbox, "james")) == (0, 1)
    assert not UnfinishedRevocation.objects.exists()


def test_a_broker_that_does_not_answer_after_the_sign_in_is_asked_to_end_it_later(connect_robinhood, person, sandbox):
    connection = connect_robinhood(person)
    sandbox.fault("500", "revoke", broker="robinhood")
    with pytest.raises(DifferentLogin):
        sign_in(sandbox, connection, "maria")
    assert UnfinishedRevocation.objects.get().label == connection.label


def test_another_way_of_signing_in_ends_the_access_by_the_way_before(
    connect_robinhood, person, sandbox, settings, django_capture_on_commit_callbacks
):
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    sandbox.control("robinhood/logins", login="james", way="none")
    official = connect_robinhood(person)
    waiting = connection_manager.create_connection(
        user=person, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_LOGIN
    )
    typed = {"username": "james", "password": "sandbox"}
    with django_capture_on_commit_callbacks(execute=True):
        unofficial = connection_manager.converse(user=person, connection=waiting, answer=typed)
    assert isinstance(unofficial, Connection)
    assert unofficial.pk == official.pk
    assert living(sandbox, "james") == 1
    assert not UnfinishedRevocation.objects.exists()
