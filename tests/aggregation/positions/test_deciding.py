"""A person says what is one instrument and what is not; it holds for them alone, and after every sync."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aggregation.account_aggregator import portfolio
from aggregation.ledger import book, record_holdings
from aggregation.models import Instrument, InstrumentChoice, Source
from aggregation.positions import choices
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import AssetClass, InstrumentRecord
from tests.aggregation.factories import AAPL, a_connection, a_position, a_record, a_user, an_account, some_holdings

pytestmark = pytest.mark.django_db
OLD = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="TWX", name="Time Warner")
NEW = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="WARN", name="Time Warner Inc")
RENUMBERED = replace(AAPL, cusip="02079K107")


def hold(account, *positions):
    record_holdings(account=account, holdings=some_holdings(*positions, as_of=timezone.now()), run_id=None)


def held_by(user) -> dict[str, Decimal]:
    """Quantities in order of value; a name that stands twice is counted."""
    found: dict[str, Decimal] = {}
    for holding in portfolio(user).holdings:
        symbol = holding.instrument.symbol
        found[symbol if symbol not in found else f"{symbol} again"] = holding.quantity
    return found


@pytest.fixture
def user(client):
    user = a_user()
    client.force_login(user)
    return user


@pytest.fixture
def account(user):
    return an_account(a_connection(user))


def the(symbol: str) -> Instrument:
    return Instrument.objects.get(symbol=symbol)


def change(client, instrument: Instrument, **post: object) -> str:
    answer = client.post(f"/portfolio/instruments/{instrument.pk}/change", {"list": 1, **post}, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_two_names_are_put_together_and_stay_so_after_the_next_sync(client, user, account):
    hold(account, a_position(OLD), a_position(NEW, "5"))
    assert held_by(user) == {"TWX": 10, "WARN": 5}
    page = change(client, the("TWX"), do="merge", other=the("WARN").pk)
    assert "TWX and WARN are the same" in page
    hold(account, a_position(OLD), a_position(NEW, "6"))
    assert held_by(user) == {"TWX": 16}
    assert "WARN" not in client.get("/portfolio/").content.decode()


def test_undoing_brings_the_two_back(client, user, account):
    hold(account, a_position(OLD), a_position(NEW, "5"))
    change(client, the("TWX"), do="merge", other=the("WARN").pk)
    choice = InstrumentChoice.objects.get()
    client.post(f"/portfolio/instruments/choices/{choice.pk}/undo")
    assert held_by(user) == {"TWX": 10, "WARN": 5}
    assert not InstrumentChoice.objects.exists()


def test_what_was_put_together_by_its_number_can_be_taken_apart(client, user, account):
    hold(account, a_position(AAPL), a_position(replace(NEW, cusip=AAPL.cusip), "5"))
    assert held_by(user) == {"AAPL": 15}
    assert "The same ISIN or CUSIP" in client.get("/portfolio/instruments/").content.decode()
    change(client, the("WARN"), do="take_out")
    hold(account, a_position(AAPL), a_position(replace(NEW, cusip=AAPL.cusip), "5"))
    assert held_by(user) == {"AAPL": 10, "WARN": 5}


def test_what_one_account_holds_of_a_shared_name_can_be_another_thing(client, user, account):
    other = an_account(account.connection, name="Trading")
    hold(account, a_position(OLD))
    hold(other, a_position(OLD, "3"))
    assert held_by(user) == {"TWX": 13}
    change(client, the("TWX"), do="account", account=other.pk)
    assert held_by(user) == {"TWX": 10, "TWX again": 3}
    page = client.get("/portfolio/").content.decode()
    link = f"/portfolio/holdings/{the('TWX').pk}/USD/?apart={other.pk}"
    assert link in page
    opened = client.get(link).content.decode()
    assert "Trading" in opened
    assert "Individual" not in opened


def test_the_same_symbol_with_another_number_is_asked_about_and_never_joined_silently(client, user, account):
    hold(account, a_position(AAPL), a_position(RENUMBERED, "5"))
    assert sorted(held_by(user).values()) == [5, 10]
    page = client.get("/portfolio/instruments/").content.decode()
    assert "They look alike" in page
    one, other = Instrument.objects.order_by("pk")
    page = change(client, one, do="part", other=other.pk)
    assert "They look alike" not in page
    change(client, one, do="merge", other=other.pk)
    assert list(held_by(user).values()) == [15]


def test_one_persons_decision_changes_nobody_elses_books(client, user, account):
    theirs = an_account()
    for each in (account, theirs):
        hold(each, a_position(OLD), a_position(NEW, "5"))
    change(client, the("TWX"), do="merge", other=the("WARN").pk)
    change(client, the("TWX"), do="account", account=account.pk)
    assert held_by(theirs.connection.user) == {"TWX": 10, "WARN": 5}


def test_another_persons_instrument_or_account_cannot_be_named(client, user, account):
    hold(account, a_position(OLD))
    theirs = an_account()
    hold(theirs, a_position(NEW))
    answer = client.post(f"/portfolio/instruments/{the('TWX').pk}/change", {"do": "merge", "other": the("WARN").pk})
    assert answer.status_code == 404
    answer = client.post(f"/portfolio/instruments/{the('TWX').pk}/change", {"do": "account", "account": theirs.pk})
    assert answer.status_code == 404
    assert client.get(f"/portfolio/instruments/{the('WARN').pk}/").status_code == 404
    assert not InstrumentChoice.objects.exists()


def test_what_cannot_be_added_cannot_be_put_together(user, account):
    euro = replace(NEW, currency="EUR")
    coin = InstrumentRecord(asset_class=AssetClass.CRYPTO, symbol="TWX")
    hold(account, a_position(OLD), a_position(euro, currency="EUR"), a_position(coin))
    old, other, third = (
        Instrument.objects.get(key=key) for key in ("security:TWX:USD", "security:WARN:EUR", "crypto:TWX:USD")
    )
    for impossible in (old, other, third):
        with pytest.raises(NotAllowed):
            choices.merge(user, old, impossible)
    with pytest.raises(NotAllowed):
        choices.take_out(user, old)


def test_the_last_word_counts(user, account):
    hold(account, a_position(AAPL), a_position(RENUMBERED, "5"), a_position(OLD, "1"))
    one, other = Instrument.objects.filter(symbol="AAPL").order_by("pk")
    choices.keep_apart(user, one, other)
    choices.merge(user, the("TWX"), one)
    choices.merge(user, the("TWX"), other)
    assert len(held_by(user)) == 1
    assert InstrumentChoice.objects.filter(is_same=False).count() == 0


def test_the_transactions_of_a_position_are_those_under_all_its_names(client, user, account):
    hold(account, a_position(OLD), a_position(NEW))
    records = [a_record("1", instrument=OLD), a_record("2", instrument=NEW), a_record("3")]
    book(account=account, records=records, source=Source.API, run_id=None)
    url = f"/portfolio/transactions/?instrument={the('TWX').pk}"
    assert client.get(url).content.decode().count('data-label="What"') == 1
    choices.merge(user, the("TWX"), the("WARN"))
    assert client.get(url).content.decode().count('data-label="What"') == 2
    client.force_login(a_user())
    assert client.get(url).content.decode().count('data-label="What"') == 0


def test_the_pages_cost_the_same_for_two_instruments_and_nine(client, account):
    shares = [
        InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=f"S{number}", name="Twin Corp") for number in range(9)
    ]
    counted = []
    for few_or_many in (shares[:2], shares):
        hold(account, *map(a_position, few_or_many))
        client.get("/portfolio/instruments/")
        for url in ("/portfolio/instruments/", f"/portfolio/instruments/{the('S1').pk}/"):
            with CaptureQueriesContext(connection) as queries:
                assert "S1" in client.get(url).content.decode()
            counted.append(len(queries))
    assert counted[:2] == counted[2:]
