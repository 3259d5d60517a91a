"""A sign-in that opens the accounts of two connections, and others that are refused: nothing is lost or left behind."""

import pytest
from django.urls import reverse

from brokerhub.kernel.errors import NotAllowed
from connections import connection_manager
from connections.brokers.records import AuthMethod, Broker
from connections.errors import CountedTwice
from connections.models import Account, Connection

pytestmark = pytest.mark.usefixtures("unpaced")


def by_flex(person, keys, connection=None):
    return connection_manager.connect_with_keys(
        user=person, method=AuthMethod.IBKR_FLEX, keys=keys, connection=connection
    )


@pytest.fixture
def left_apart(person, flex_keys):
    """`left_apart(lowest)`: two connections, both left, with the accounts of what is one login by now.

    The first of them has the lowest account number, or the other ones.
    """

    def arrange(lowest):
        first = by_flex(person, flex_keys)
        numbers = sorted(first.accounts.values_list("external_id", flat=True))
        kept, gone = (numbers[:1], numbers[1:]) if lowest else (numbers[1:], numbers[:1])
        second = Connection.objects.create(
            user=person, broker="ibkr", method="ibkr_flex", environment="sandbox", label="Second", broker_user_key="-"
        )
        first.accounts.filter(external_id__in=gone).update(connection=second)
        for connection, its_own in ((first, kept), (second, gone)):
            connection.broker_user_key = min(its_own)
            connection.save(update_fields=["broker_user_key"])
            connection_manager.disconnect(connection=connection, actor=person)
        return first, second

    return arrange


def stored():
    return list(Account.objects.order_by("pk").values_list("pk", "connection", "external_id"))


@pytest.mark.parametrize("lowest", [True, False])
def test_renewing_with_a_login_that_opens_another_connections_accounts_too_is_refused(
    left_apart, person, flex_keys, lowest
):
    first, _ = left_apart(lowest)
    accounts = stored()
    with pytest.raises(CountedTwice, match=r"accounts of Second.*erase"):
        by_flex(person, flex_keys, first)
    assert stored() == accounts
    assert Connection.objects.count() == 2


@pytest.mark.parametrize("lowest", [True, False])
def test_connecting_such_a_login_anew_goes_on_with_the_connection_that_has_its_name(
    left_apart, person, flex_keys, lowest
):
    first, second = left_apart(lowest)
    accounts = stored()
    assert by_flex(person, flex_keys).pk == (first if lowest else second).pk
    assert stored() == accounts


def test_keys_that_would_count_twice_leave_no_connection_behind(person, flex_keys):
    connection = by_flex(person, flex_keys)
    shared, other = connection.accounts.all()[:2]
    other.external_id = "U0000001"
    other.save()
    Connection.objects.filter(pk=connection.pk).update(broker_user_key=other.external_id)
    with pytest.raises(CountedTwice, match=shared.mask):
        by_flex(person, flex_keys)
    assert list(Connection.objects.all()) == [connection]


def test_keys_for_the_history_wait_until_a_sign_in_that_cannot_be_read_is_renewed(
    connect_ibkr, person, web, flex_keys, settings
):
    connection = connect_ibkr(person)
    settings.CREDENTIALS_KEYS = {"another": b"x" * 32}
    with pytest.raises(NotAllowed, match="Sign in there again first"):
        by_flex(person, flex_keys)
    answer = web.post(reverse("connections:history_keys", args=[connection.pk]), flex_keys)
    assert "Sign in there again first" in answer.content.decode()
    assert list(Connection.objects.all()) == [connection]


def test_a_live_connection_takes_no_keys_in_the_sandbox(person, web, flex_keys):
    connection = by_flex(person, flex_keys)
    Connection.objects.update(environment="live")
    connection.refresh_from_db()
    before = Connection.objects.values().get()
    for page in ("connections:keys", "connections:history_keys"):
        web.post(reverse(page, args=[connection.pk]), flex_keys)
    with pytest.raises(NotAllowed, match="live environment"):
        by_flex(person, flex_keys, connection)
    assert Connection.objects.values().get() == before


def test_a_way_that_is_no_longer_offered_takes_no_password(person, web, settings):
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    waiting = connection_manager.create_connection(
        user=person, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_LOGIN
    )
    settings.ROBINHOOD_PRIVATE_LOGIN = False
    answer = web.post(
        reverse("connections:keys", args=[waiting.pk]), {"username": "james", "password": "sandbox"}
    ).content.decode()
    assert "no longer offers this way" in answer
    waiting.refresh_from_db()
    assert waiting.state == "pending_auth"


def test_a_key_pair_that_cannot_be_read_any_more_is_made_anew(person, settings):
    waiting = connection_manager.create_connection(
        user=person, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_CRYPTO
    )
    [before] = connection_manager.prepare_keys(connection=waiting)
    settings.CREDENTIALS_KEYS = {"another": b"x" * 32}
    [after] = connection_manager.prepare_keys(connection=waiting)
    assert after.value != before.value
    assert connection_manager.prepare_keys(connection=waiting) == (after,)


@pytest.mark.parametrize("by_a_new_connect", [True, False])
def test_keys_for_the_history_of_a_connection_that_needs_a_sign_in_say_what_comes_first(
    connect_ibkr, person, web, flex_keys, by_a_new_connect
):
    connection = connect_ibkr(person)
    Connection.objects.update(state="needs_reauth", reason_code="refresh_refused")
    name, of = ("keys_new", "ibkr_flex") if by_a_new_connect else ("history_keys", connection.pk)
    shown = web.post(reverse(f"connections:{name}", args=[of]), flex_keys, follow=True).content.decode()
    assert "Now sign in there again" in shown
    assert "being fetched" not in shown
    connection.refresh_from_db()
    assert (connection.state, connection.history_method) == ("needs_reauth", "ibkr_flex")
