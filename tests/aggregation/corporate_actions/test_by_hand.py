"""Corporate actions by hand: seen before they are applied, applied once, taken back; costs follow."""

from decimal import Decimal as D

import pytest

from aggregation.ledger import book
from aggregation.models import CorporateAction, Instrument, Source, Transaction
from aggregation.reconciliation.derived import cash, quantities
from connections.brokers.records import TransactionKind as Kind
from tests.aggregation.factories import a_connection, a_user, an_account
from tests.aggregation.lots.test_reading import CHILD, KO, gains, open_of, told

pytestmark = pytest.mark.django_db
NEW = "/portfolio/actions/new/"


@pytest.fixture
def user(client):
    user = a_user()
    client.force_login(user)
    return user


@pytest.fixture
def account(user):
    """Bought 100 on one day and 5 on another: 105 for 1,050 dollars."""
    account = an_account(a_connection(user))
    told_rows = [told(Kind.BUY, "2025-03-03", 100, -1000), told(Kind.BUY, "2025-03-04", 5, -50)]
    book(account=account, records=told_rows, source=Source.API, run_id=None)
    return account


def entered(**fields):
    ko = Instrument.objects.get(symbol="KO")
    return {"kind": "split", "instrument": ko.pk, "on": "2025-05-05", **fields}


def enter(client, **fields):
    answer = client.post(NEW, entered(**fields) | {"apply": "yes"})
    assert answer.status_code == 302, answer.content.decode()
    return CorporateAction.objects.latest("pk")


def held(account):
    symbols = dict(Instrument.objects.values_list("pk", "symbol"))
    return {symbols[instrument]: units for (_, instrument), units in quantities([account]).items()}


def test_the_preview_says_what_would_be_booked_and_books_nothing(client, account):
    other = an_account(account.connection, name="Empty")
    page = client.post(NEW, entered(kind="spin_off", received_symbol="KOSPIN", new="1", old="4")).content.decode()
    table = page.partition("What it does")[2]
    assert "+26.25" in table
    assert str(other) not in table
    assert not CorporateAction.objects.exists()
    assert not Instrument.objects.filter(symbol="KOSPIN").exists()
    assert held(account) == {"KO": 105}


def test_a_reverse_split_with_cash_in_lieu(client, account):
    """105 shares become ten and a half; the half is paid out at 96 for a whole one. Worth as much before as after."""
    enter(client, new="1", old="10", fraction_price="96")
    assert held(account) == {"KO": 10}
    assert cash([account])[account.pk, "USD"] == D("-1050") + 48
    assert sum(cost for _, cost, _ in open_of(account)) == 1000
    assert sum(gain for _, _, gain, _ in gains(account)) == -2


def test_a_spin_off_takes_its_share_of_the_cost(client, account):
    enter(client, kind="spin_off", received_symbol="KOSPIN", new="1", old="5", cost_share="20")
    assert held(account) == {"KO": 105, "KOSPIN": 21}
    assert sum(cost for _, cost, _ in open_of(account)) == 840
    assert sum(cost for _, cost, _ in open_of(account, CHILD)) == 210


def test_a_merger_for_shares_and_cash(client, account):
    enter(client, kind="merger", received_symbol="KOSPIN", new="1", old="1", cash_per_unit="2", value_per_unit="9")
    assert held(account) == {"KOSPIN": 105}
    assert cash([account])[account.pk, "USD"] == -1050 + 210
    # worth 945 + 210 for 1,050: of the gain of 105 all came in cash
    assert sum(gain for _, _, gain, _ in gains(account)) == 105
    assert sum(cost for _, cost, _ in open_of(account, CHILD)) == 1050 - 210 + 105


def test_a_takeover_for_cash_is_a_sale(client, account):
    enter(client, kind="merger", cash_per_unit="12")
    assert held(account) == {}
    assert sum(gain for _, _, gain, _ in gains(account)) == 105 * 12 - 1050


def test_a_new_symbol_carries_everything_on(client, account):
    enter(client, kind="rename", received_symbol="KOSPIN")
    assert held(account) == {"KOSPIN": 105}
    assert sum(cost for _, cost, _ in open_of(account, CHILD)) == 1050


def test_taking_it_back_leaves_everything_as_it_was(client, account):
    unused = {"received_symbol": "KO", "cost_share": "7", "cash_per_unit": "3"}  # typed for another kind, hidden by now
    action = enter(client, new="2", old="1", **unused)
    assert (action.received, action.cost_share, action.cash_per_unit) == (None, None, None)
    assert held(account) == {"KO": 210}
    for _ in range(2):
        client.post(f"/portfolio/actions/{action.pk}/take-back")
        assert held(account) == {"KO": 105}
    assert "Taken back" in client.get("/portfolio/actions/").content.decode()
    enter(client, new="3", old="1")  # and may be entered anew
    assert held(account) == {"KO": 315}


@pytest.mark.parametrize("day", ["2025-05-05", "2025-05-08"])
def test_told_by_hand_first_and_by_the_broker_later_it_counts_once(client, account, day):
    enter(client, new="2", old="1")
    book(account=account, records=[told(Kind.SPLIT, day, 105, 0)], source=Source.API, run_id=None)
    assert held(account) == {"KO": 210}
    assert account.transactions.in_books().filter(kind=Kind.SPLIT).get().source == Source.API


def test_when_the_broker_takes_its_row_back_the_one_by_hand_counts_again(client, account):
    enter(client, new="2", old="1")
    row = told(Kind.SPLIT, "2025-05-08", 105, 0, id="split")
    book(account=account, records=[row], source=Source.API, run_id=None)
    gone = told(Kind.SPLIT, "2025-05-08", 105, 0, id="split", status="void")
    book(account=account, records=[gone], source=Source.API, run_id=None)
    assert held(account) == {"KO": 210}
    assert account.transactions.in_books().filter(kind=Kind.SPLIT).get().source == Source.MANUAL


def test_what_the_broker_told_before_is_not_booked_again_and_its_cost_is_completed(client, account):
    spin_off = told(Kind.CORPORATE_ACTION, "2025-05-06", 21, 0, CHILD, subtype="spin_off")
    book(account=account, records=[spin_off], source=Source.API, run_id=None)
    assert [cost for _, cost, _ in open_of(account, CHILD)] == [None]
    fields = {"kind": "spin_off", "received_symbol": "KOSPIN", "new": "1", "old": "5", "cost_share": "20"}
    assert "the broker has told it" in client.post(NEW, entered(**fields)).content.decode()
    enter(client, **fields)
    assert held(account) == {"KO": 105, "KOSPIN": 21}
    assert not Transaction.objects.filter(source=Source.MANUAL).exists()
    assert sum(cost for _, cost, _ in open_of(account, CHILD)) == 210
    assert sum(cost for _, cost, _ in open_of(account)) == 840


def test_the_ratio_tells_how_large_the_fraction_was_that_a_broker_paid_out(client, account):
    rows = [
        told(Kind.SPLIT, "2025-05-05", -95, 0, group_id="x", id="units"),
        told(Kind.CORPORATE_ACTION, "2025-05-05", None, 48, group_id="x", subtype="CIL", id="cash"),
    ]
    book(account=account, records=rows, source=Source.API, run_id=None)
    assert [gain for _, _, gain, _ in gains(account)] == [None]
    enter(client, new="1", old="10")
    assert sum(gain for _, _, gain, _ in gains(account)) == -2
    assert held(account) == {"KO": 10}


def test_the_same_is_not_entered_twice(client, account):
    enter(client, new="2", old="1")
    answer = client.post(NEW, entered(new="2", old="1", on="2025-05-07") | {"apply": "yes"})
    assert answer.status_code == 400
    assert "You have entered this already." in answer.content.decode()
    assert held(account) == {"KO": 210}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "This is needed."),
        ({"new": "2", "old": "2"}, "This changes nothing."),
        ({"new": "-2"}, "greater than or equal"),
        ({"kind": "spin_off", "new": "1", "received_symbol": "KO"}, "This is the holding itself."),
        ({"kind": "merger"}, "Say what was received, or the cash."),
        ({"kind": "rename", "received_symbol": "<b>"}, "A symbol has letters"),
        ({"new": "2", "on": "2999-01-01"}, "Enter it on its day, or later."),
        ({"kind": "takeover"}, "is not one of the available choices"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(client, account, fields, why):
    answer = client.post(NEW, entered(**fields) | {"apply": "yes"})
    assert answer.status_code == 400
    assert why in answer.content.decode()
    assert not CorporateAction.objects.exists()


def test_books_of_others_are_never_changed(client, account):
    stranger = an_account(a_connection(a_user()))
    book(account=stranger, records=[told(Kind.BUY, "2025-03-03", 7, -70, KO)], source=Source.API, run_id=None)
    action = enter(client, new="2", old="1")
    assert held(stranger) == {"KO": 7}
    client.force_login(stranger.connection.user)
    assert client.post(f"/portfolio/actions/{action.pk}/take-back").status_code == 404
    assert "Nothing entered" in client.get("/portfolio/actions/").content.decode()
    assert held(account) == {"KO": 210}


def test_before_the_day_nothing_was_held_so_nothing_is_applied(client, account):
    answer = client.post(NEW, entered(new="2", old="1", on="2025-03-03") | {"apply": "yes"})
    assert answer.status_code == 400
    assert "None of your accounts held KO" in answer.content.decode()
