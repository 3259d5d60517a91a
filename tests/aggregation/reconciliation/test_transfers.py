"""What left one account and arrived in another is linked when it can be nothing else, and never wrongly."""

import random
from datetime import date, timedelta
from decimal import Decimal

import pytest

from aggregation import ledger
from aggregation.models import Source, Transaction, TransferLink
from aggregation.reconciliation import transfers
from aggregation.reconciliation.models import LinkState
from aggregation.reconciliation.transfers import Leg, pairs
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import TransactionKind
from tests.aggregation.factories import AAPL, a_connection, a_record, a_user, an_account

START = date(2025, 3, 3)
CASES = 200


class Parcels:
    """Legs of a seeded person with five accounts, and which of them truly belong together."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.legs: list[Leg] = []
        self.truth: set[tuple[int, int]] = set()
        for _ in range(self.dice.randrange(1, 5)):
            self.dice.choice((self.move, self.move, self.whole_account, self.near_miss, self.twins))()
        self.dice.shuffle(self.legs)

    def leg(self, account: int, thing: str, units: int, on: date) -> int:
        self.legs.append(Leg(len(self.legs) + 1, account, thing, Decimal(units), on))
        return len(self.legs)

    def day(self) -> date:
        return START + timedelta(days=self.dice.randrange(700))

    def _move(self, source: int, target: int, thing: str, units: int, on: date, days: int) -> None:
        pair = self.leg(source, thing, -units, on), self.leg(target, thing, units, on + timedelta(days=days))
        self.truth.add(pair)

    def move(self) -> None:
        source, target = self.dice.sample(range(5), 2)
        self._move(source, target, self.thing(), self.dice.randrange(1, 400), self.day(), self.dice.randrange(-1, 16))

    def whole_account(self) -> None:
        source, target = self.dice.sample(range(5), 2)
        on, days = self.day(), self.dice.randrange(0, 9)
        for number in range(self.dice.randrange(2, 7)):
            self._move(source, target, f"W{number}", self.dice.randrange(1, 400), on, days)

    def twins(self) -> None:
        source, target = self.dice.sample(range(5), 2)
        on, units, thing = self.day(), self.dice.randrange(1, 400), self.thing()
        self._move(source, target, thing, units, on, 3)
        self._move(source, target, thing, units, on + timedelta(days=40), 3)

    def near_miss(self) -> None:
        """Alike and not the same: too late, other units, another thing, one account, two that left and one came."""
        thing, on, units = self.thing(), self.day(), self.dice.randrange(10, 400)
        case = self.dice.randrange(5)
        self.leg(0, thing, -units, on)
        if case == 0:
            self.leg(1, thing, units, on + timedelta(days=self.dice.randrange(16, 40)))
        elif case == 1:
            self.leg(1, thing, units - 1, on + timedelta(days=2))
        elif case == 2:
            self.leg(1, f"{thing}.B", units, on)
        elif case == 3:
            self.leg(0, thing, units, on + timedelta(days=1))
        else:
            self.leg(2, thing, -units, on + timedelta(days=1))
            self.leg(1, thing, units, on + timedelta(days=3))

    def thing(self) -> str:
        return f"T{self.dice.randrange(60)}-{len(self.legs)}"


def all_are_found_and_no_other(seeds: range) -> None:
    expected = found = 0
    for seed in seeds:
        parcels = Parcels(seed)
        linked = {(left.id, came.id) for left, came in pairs(parcels.legs)}
        assert linked <= parcels.truth, f"a false pair with seed {seed}"
        expected, found = expected + len(parcels.truth), found + len(linked)
    assert found == expected > len(seeds)


def test_no_false_pair_in_two_hundred_cases_and_none_missed_that_is_certain():
    all_are_found_and_no_other(range(CASES))


@pytest.mark.endurance
def test_no_false_pair_in_twenty_thousand_cases():
    all_are_found_and_no_other(range(CASES, CASES + 20_000))


def test_of_two_that_fit_the_one_is_taken_that_other_things_came_with():
    on = START
    legs = [
        Leg(1, 1, "AAPL", Decimal(-10), on), Leg(2, 2, "AAPL", Decimal(-10), on), Leg(3, 3, "AAPL", Decimal(10), on),
        Leg(4, 2, "KO", Decimal(-7), on), Leg(5, 3, "KO", Decimal(7), on),
    ]  # fmt: skip
    assert [(left.id, came.id) for left, came in pairs(legs)] == [(2, 3), (4, 5)]


# --- In the database --------------------------------------------------------------------------------------------------
@pytest.fixture
def user(db):
    return a_user()


def moved(user, units, on, *, name="x"):
    """A leg of a transfer in an account of its own."""
    kind = TransactionKind.TRANSFER_IN if units > 0 else TransactionKind.TRANSFER_OUT
    account = an_account(a_connection(user))
    record = a_record(name, kind=kind, traded_on=on, instrument=AAPL, quantity=Decimal(units), net_amount=Decimal(0))
    ledger.book(account=account, records=[record], source=Source.API, run_id=None)
    return Transaction.objects.get(account=account)


def test_two_legs_are_linked_once_and_part_when_one_is_corrected(user):
    left, came = moved(user, -12, START), moved(user, 12, START + timedelta(days=4))
    for _ in range(2):
        transfers.match(user.pk)
    assert [(link.outgoing, link.incoming) for link in TransferLink.objects.joined()] == [(left, came)]
    correction = a_record("x", kind=TransactionKind.TRANSFER_IN, traded_on=came.traded_on, quantity=Decimal(11),
                          net_amount=Decimal(0))  # fmt: skip
    ledger.book(account=came.account, records=[correction], source=Source.API, run_id=None)
    transfers.match(user.pk)
    assert not TransferLink.objects.exists()


def test_what_a_person_decided_holds_over_corrections(user):
    left, came = moved(user, -12, START), moved(user, 12, START + timedelta(days=4))
    transfers.match(user.pk)
    transfers.decide(TransferLink.objects.get(), state=LinkState.REJECTED, user=user)
    assert not TransferLink.objects.joined().exists()
    other_day = a_record("x", kind=TransactionKind.TRANSFER_IN, traded_on=START + timedelta(days=2),
                         quantity=Decimal(12), net_amount=Decimal(0))  # fmt: skip
    ledger.book(account=came.account, records=[other_day], source=Source.API, run_id=None)
    transfers.match(user.pk)
    assert not TransferLink.objects.joined().exists()
    newest = Transaction.objects.in_books().get(account=came.account)
    link = transfers.confirm(outgoing=left, incoming=newest, user=user)
    transfers.match(user.pk)
    assert TransferLink.objects.joined().get() == link
    assert link.state == LinkState.CONFIRMED


def test_what_cannot_be_one_transfer_is_refused(user):
    left, came = moved(user, -12, START), moved(user, 11, START)
    with pytest.raises(NotAllowed, match="not two sides"):
        transfers.confirm(outgoing=left, incoming=came, user=user)


def test_another_persons_leg_is_no_partner(user):
    moved(user, -12, START)
    moved(a_user(), 12, START)
    transfers.match(user.pk)
    assert not TransferLink.objects.exists()


# --- Cash -------------------------------------------------------------------------------------------------------------
def paid(user, amount, on, *, name="x", account=None, kind=None):
    """Money into an account, or out of it."""
    account = account or an_account(a_connection(user, label=name))
    way = TransactionKind.DEPOSIT if Decimal(amount) > 0 else TransactionKind.WITHDRAWAL
    record = a_record(name, kind=kind or way, traded_on=on, instrument=None, quantity=None, price=None,
                      gross_amount=None, net_amount=Decimal(amount))  # fmt: skip
    ledger.book(account=account, records=[record], source=Source.API, run_id=None)
    return Transaction.objects.get(external_id=name, account=account)


def linked(user):
    return {(link.outgoing_id, link.incoming_id): link.state for link in TransferLink.objects.for_user(user)}


def test_the_same_odd_amount_that_left_and_came_within_days_is_linked(user):
    out, came = paid(user, "-1234.56", START, name="o"), paid(user, "1234.56", START + timedelta(days=4), name="i")
    paid(user, "1234.56", START + timedelta(days=30), name="later")
    transfers.match(user.pk)
    assert linked(user) == {(out.pk, came.pk): LinkState.MATCHED}


def test_a_round_sum_is_linked_only_where_the_broker_calls_it_a_transfer(user):
    out, came = paid(user, "-500", START, name="o"), paid(user, "500", START, name="i")
    transfers.match(user.pk)
    assert linked(user) == {}
    assert transfers.undecided(user) == [(out, came)]
    moved_out = paid(user, "-700", START, name="t", kind=TransactionKind.TRANSFER_OUT)
    moved_in = paid(user, "700", START, name="u")
    transfers.match(user.pk)
    assert set(linked(user)) == {(moved_out.pk, moved_in.pk)}


def test_where_two_fit_the_person_decides_on_the_page_and_by_api(user, client, token_client):
    out = paid(user, "-99.10", START, name="o")
    one, other = (paid(user, "99.10", START + timedelta(days=days), name=f"i{days}") for days in (1, 2))
    transfers.match(user.pk)
    assert linked(user) == {}
    client.force_login(user)
    page = client.get("/portfolio/reconcile/transfers/")
    assert page.content.decode().count("One transfer</button>") == 2
    answer = {"outgoing": out.pk, "incoming": one.pk}
    client.post("/portfolio/reconcile/transfers/", answer | {"do": "part"})
    # what is left can be nothing else
    assert linked(user) == {(out.pk, one.pk): LinkState.REJECTED, (out.pk, other.pk): LinkState.MATCHED}
    api, address = token_client(user), "/api/v1/brokers/reconciliation/transfers"
    assert api.get(f"{address}/possible").json() == []
    assert api.post(address, answer | {"together": True}, format="json").json()["state"] == "confirmed"
    assert linked(user) == {(out.pk, one.pk): LinkState.CONFIRMED}
    refused = api.post(address, {"outgoing": one.pk, "incoming": out.pk, "together": True}, format="json")
    assert refused.status_code == 409
    assert "Nothing to decide" in client.get("/portfolio/reconcile/transfers/").content.decode()


def test_other_currencies_and_other_people_are_no_partners(user):
    out = paid(user, "-99.10", START, name="o")
    paid(a_user(), "99.10", START, name="theirs")
    Transaction.objects.filter(pk=paid(user, "99.10", START, name="e").pk).update(currency="EUR")
    transfers.match(user.pk)
    assert linked(user) == {}
    assert transfers.undecided(user) == []
    assert out.net_amount == Decimal("-99.10")
