"""One login is one connection, whatever the way of signing in: nothing is copied, nothing counts twice."""

from collections import Counter

import pytest
from django.db.models import Value
from django.db.models.functions import Concat
from django.urls import reverse

from aggregation.models import Transaction
from brokerhub.kernel.errors import NotAllowed
from connections import connection_manager
from connections.brokers.records import AuthMethod, Broker
from connections.errors import DifferentLogin
from connections.models import Connection
from tests.journey.books import sync

pytestmark = pytest.mark.usefixtures("unpaced")


def rows():
    """How often each row of the books is there, by account and the broker's id."""
    return Counter(Transaction.objects.in_books().values_list("account_id", "external_id"))


def by_flex(person, keys):
    return connection_manager.connect_with_keys(user=person, method=AuthMethod.IBKR_FLEX, keys=keys)


def test_interactive_brokers_by_report_and_then_by_sign_in_keeps_both(connect_ibkr, person, flex_keys):
    report = by_flex(person, flex_keys)
    sync(report)
    accounts, booked = list(report.accounts.values_list("pk", flat=True)), rows()
    signed_in = connect_ibkr(person)
    assert signed_in.pk == report.pk
    assert (signed_in.method, signed_in.history_method) == ("ibkr_oauth", "ibkr_flex")
    sync(signed_in)
    assert list(signed_in.accounts.values_list("pk", flat=True)) == accounts
    assert rows() == booked


def test_a_sign_in_that_knows_no_transactions_reads_them_by_report_once_it_is_added(connect_ibkr, person, flex_keys):
    connection = connect_ibkr(person, "keys")
    sync(connection)
    assert not rows()
    connection_manager.add_history(connection=connection, keys=flex_keys, actor=person)
    connection.refresh_from_db()
    assert (connection.method, connection.history_method) == ("ibkr_keys", "ibkr_flex")
    run = sync(connection)
    assert run.inserted == Transaction.objects.count() > 700


def test_connecting_the_report_of_a_login_that_is_signed_in_adds_it_there(connect_ibkr, person, flex_keys):
    connection = connect_ibkr(person)
    assert by_flex(person, flex_keys).pk == connection.pk
    connection.refresh_from_db()
    assert (connection.method, connection.history_method) == ("ibkr_oauth", "ibkr_flex")


def test_the_report_stays_over_a_renewal_and_another_sign_in(connect_ibkr, person, flex_keys):
    connection = connect_ibkr(person)
    connection_manager.add_history(connection=connection, keys=flex_keys, actor=person)
    connection.refresh_from_db()
    connection_manager.refresh_credentials(connection)
    assert connection.read_credentials()["history"]["token"] == flex_keys["token"]
    again = connect_ibkr(person, "keys")
    assert again.pk == connection.pk
    assert again.read_credentials()["history"]["token"] == flex_keys["token"]
    assert again.history_method == "ibkr_flex"


def test_the_report_of_another_login_is_refused_with_both_masks(connect_ibkr, person, flex_keys):
    connection = connect_ibkr(person)
    connection.accounts.update(external_id=Concat(Value("X"), "external_id"), mask="0001")
    with pytest.raises(DifferentLogin, match=r"345.*0001"):
        connection_manager.add_history(connection=connection, keys=flex_keys, actor=person)
    connection.refresh_from_db()
    assert connection.history_method == ""


def test_leaving_forgets_the_keys_of_the_report_too(connect_ibkr, person, flex_keys):
    connection = connect_ibkr(person)
    connection_manager.add_history(connection=connection, keys=flex_keys, actor=person)
    connection.refresh_from_db()
    connection_manager.disconnect(connection=connection, actor=person)
    connection.refresh_from_db()
    assert (bytes(connection.sealed_credentials), connection.history_method) == (b"", "")


def test_a_way_that_is_switched_off_is_not_used_any_more_and_says_so(connect_robinhood, person, sandbox, settings, web):
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    sandbox.control("robinhood/logins", login="james", way="none")
    waiting = connection_manager.create_connection(
        user=person, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_LOGIN
    )
    typed = {"username": "james", "password": "sandbox"}
    connection = connection_manager.converse(user=person, connection=waiting, answer=typed)
    assert isinstance(connection, Connection)
    sync(connection)
    settings.ROBINHOOD_PRIVATE_LOGIN = False
    assert not Connection.objects.syncable().exists()
    for use in (connection_manager.connector_for, connection_manager.refresh_credentials, sync):
        with pytest.raises(NotAllowed, match="switched off"):
            use(connection)
    assert "switched off on this hub" in web.get(reverse("connections:list")).content.decode()
    assert connect_robinhood(person).pk == connection.pk, "the same login goes on by another way"
    assert "switched off on this hub" not in web.get(reverse("connections:list")).content.decode()


def test_robinhood_by_another_way_brings_what_was_missing_and_doubles_nothing(
    connect_robinhood, person, sandbox, settings
):
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    sandbox.control("robinhood/logins", login="james", way="none")
    official = connect_robinhood(person)
    sync(official)
    orders = rows()
    waiting = connection_manager.create_connection(
        user=person, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_LOGIN
    )
    typed = {"username": "james", "password": "sandbox"}
    unofficial = connection_manager.converse(user=person, connection=waiting, answer=typed)
    assert isinstance(unofficial, Connection)
    assert (unofficial.pk, unofficial.method) == (official.pk, "robinhood_login")
    sync(unofficial)
    everything = rows()
    assert everything > orders, "the same orders, and more beside them"
    assert set(everything.values()) == {1}
    kinds = set(Transaction.objects.in_books().values_list("kind", flat=True))
    assert {"dividend", "deposit", "interest"} <= kinds
    sync(connect_robinhood(person))
    assert rows() == everything
