"""One click puts a break right, later syncs leave it so, and it can be taken back."""

from datetime import date
from decimal import Decimal

import pytest

from aggregation.corporate_actions import applying
from aggregation.corporate_actions.models import ActionKind, CorporateAction
from aggregation.ledger import book
from aggregation.models import BookStatus, Break, Correction, Instrument, ReferenceRate, Source, Transaction
from aggregation.reconciliation import fixes
from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.comparing import compare
from aggregation.reconciliation.models import BreakState, Reconciliation
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import TransactionKind as Kind
from tests.aggregation.reconciliation.kinds import FIRST, KINDS, day
from tests.aggregation.reconciliation.worlds import KO, NOW, World

pytestmark = pytest.mark.django_db
# Nothing to do but wait for some; the others are not for one click to decide.
NO_ROWS = {Cause.UNSETTLED, Cause.PENDING, Cause.STALE_REPORT, Cause.ROUNDING, Cause.TAKEN_BACK, Cause.WRONG_UNITS}

# One of each way to mend: rows booked, left out, brought back, told apart, turned round.
IN_SHORT = {
    "option_assigned",
    "trade_told_by_file_and_feed_in_other_words",
    "row_left_out_by_the_person",
    "two_fills_merged_into_one",
    "withdrawal_booked_as_deposit",
}


@pytest.fixture(autouse=True)
def rates():
    ReferenceRate.objects.create(currency="USD", on=date(2026, 11, 20), per_euro=Decimal("1.1600"), read_at=NOW)


def broken(name, seed=2):
    world = World(seed)
    world.past()
    if name not in FIRST:
        world.agree()
    KINDS[name](world)
    world.lately()
    world.other.reach_the_hub(NOW)
    return world, world.go_on()


def changing(found):
    """(finding, fix) numbers of the first fix that changes the books."""
    for number, finding in enumerate(found.findings):
        for place, fix in enumerate(finding["fixes"]):
            if fix["action"] != "read_again":
                return number, place
    return None


def repair(found, user, **options):
    place = changing(found)
    assert place is not None, f"no fix for {found}"
    return fixes.apply(found, finding=place[0], fix=place[1], user=user, fingerprint=found.fingerprint, **options)


@pytest.mark.parametrize(
    "name",
    [
        name if name in IN_SHORT else pytest.param(name, marks=pytest.mark.endurance)
        for name in KINDS
        if name not in {"cents_rounded", "fraction_rounded"}
    ],
)
def test_after_its_fixes_an_account_agrees_and_taking_them_back_brings_the_breaks_back(name):
    world, found = broken(name)
    before = {(row.title, row.difference) for row in found}
    user = world.main.account.connection.user
    if all(row.why in NO_ROWS for row in found):
        assert all(changing(row) is None for row in found)
        return
    while left := [row for row in world.main.breaks() if row.why not in NO_ROWS]:
        repair(left[0], user)
    world.main.reach_the_hub(NOW)
    assert world.main.breaks() == []
    for correction in Correction.objects.standing().order_by("-pk"):
        fixes.undo(correction, user=user)
    assert {(row.title, row.difference) for row in world.main.breaks()} == before


def split_by_hand(world, user):
    ko = Instrument.objects.get(symbol="KO")
    facts = {"instrument": ko, "on": day(10), "new": Decimal(2), "old": Decimal(1), "currency": "USD"}
    action = CorporateAction(user=user, kind=ActionKind.SPLIT, **facts)
    applying.apply(action)
    return action


def test_a_split_entered_by_hand_is_not_booked_once_more_from_a_page_that_was_made_before():
    world, [found] = broken("split_2_for_1")
    user = world.main.account.connection.user
    split_by_hand(world, user)
    with pytest.raises(NotAllowed, match="agrees by now"):
        repair(found, user)
    with pytest.raises(NotAllowed, match="nothing of this kind"):
        fixes.apply_all(world.main.account, Cause.MISSED_SPLIT, user=user)
    assert not Correction.objects.exists()
    assert world.main.breaks() == []


def test_a_split_booked_by_a_correction_and_entered_by_hand_is_flagged_with_the_way_back():
    world, [found] = broken("split_2_for_1")
    user = world.main.account.connection.user
    repair(found, user)
    state = Reconciliation.objects.filter(account=world.main.account)
    state.update(due_at=None)
    split_by_hand(world, user)
    assert state.get().due_at is not None
    [flagged] = world.main.breaks()
    assert flagged.why == Cause.TOLD_BY_BROKER
    repair(flagged, user)
    assert world.main.breaks() == []


def test_the_broker_telling_the_same_takes_the_place_of_what_was_booked_by_hand():
    world, [found] = broken("monthly_fee_missing")
    repair(found, world.main.account.connection.user)
    told = world.main.record(Kind.FEE, date(2026, 11, 16), Decimal("-4.95"), settled_on=None)
    book(account=world.main.account, records=[told], source=Source.API, run_id=None)
    assert world.main.breaks() == []
    mine = Transaction.objects.get(account=world.main.account, source=Source.MANUAL)
    theirs = Transaction.objects.get(account=world.main.account, external_id=told.external_id)
    assert (mine.status, mine.superseded_by) == (BookStatus.DUPLICATE, theirs)


def test_what_the_broker_tells_on_another_day_is_flagged_with_the_way_back():
    world, [found] = broken("quarterly_dividend_missing")
    repair(found, world.main.account.connection.user)
    told = world.main.record(Kind.DIVIDEND, date(2026, 11, 19), found.difference, KO)
    book(account=world.main.account, records=[told], source=Source.API, run_id=None)
    [flagged] = world.main.breaks()
    assert flagged.why == Cause.TOLD_BY_BROKER
    repair(flagged, world.main.account.connection.user)
    assert world.main.breaks() == []
    assert not Correction.objects.standing().exists()


def test_an_opening_position_takes_the_cost_the_person_knows():
    world, found = broken("books_begin_after_purchases")
    shares = next(row for row in found if row.instrument and row.instrument.symbol == "AAPL")
    correction = repair(shares, world.main.account.connection.user, cost=Decimal("91.20"))
    [row] = Transaction.objects.filter(pk__in=correction.booked)
    assert (row.kind, row.subtype, row.quantity, row.price) == (Kind.TRANSFER_IN, "opening", 31, Decimal("91.20"))
    assert row.traded_on < Transaction.objects.exclude(pk=row.pk).earliest("traded_on").traded_on


def test_all_breaks_of_one_cause_are_booked_in_one_go_and_taken_back_in_one():
    world, found = broken("no_transactions_at_all")
    user = world.main.account.connection.user
    correction = fixes.apply_all(world.main.account, Cause.MISSING_HISTORY, user=user)
    assert len(correction.booked) == len(found) >= 4
    assert world.main.breaks() == []
    fixes.undo(correction, user=user)
    assert len(world.main.breaks()) == len(found)
    with pytest.raises(NotAllowed, match="before"):
        fixes.undo(Correction.objects.get(), user=user)


def test_an_ignored_break_comes_back_when_its_figures_change():
    world, [found] = broken("nothing_explains_it")
    user = world.main.account.connection.user
    fixes.ignore(found, user=user, why="A gift of the bank")
    compare(world.main.account)
    found.refresh_from_db()
    assert (found.state, found.ignored_why) == (BreakState.IGNORED, "A gift of the bank")
    assert not Break.objects.alarming().exists()
    world.main.apart = {"USD": Decimal("3.17")}
    [again] = world.go_on()
    assert (again.pk, again.state, again.came_back) == (found.pk, BreakState.OPEN, True)


def test_a_fix_of_figures_that_have_changed_since_is_refused():
    world, [found] = broken("monthly_fee_missing")
    world.main.apart = {"USD": Decimal(7)}
    world.go_on()
    with pytest.raises(NotAllowed, match="changed since"):
        repair(found, world.main.account.connection.user)
    assert not Correction.objects.exists()


def test_what_agrees_by_now_is_not_put_right_again():
    world, [found] = broken("monthly_fee_missing")
    user = world.main.account.connection.user
    repair(found, user)
    with pytest.raises(NotAllowed, match="agrees by now"):
        repair(found, user)
    found.refresh_from_db()
    assert found.state == BreakState.RESOLVED
    assert Transaction.objects.in_books().filter(source=Source.MANUAL).count() == 1


def test_reading_the_days_again_asks_the_broker_for_them():
    world, found = broken("second_of_two_fills_never_told")
    shares = next(row for row in found if row.instrument)
    assert shares.findings[0]["fixes"][0]["action"] == "read_again"
    user = world.main.account.connection.user
    assert fixes.apply(shares, finding=0, fix=0, user=user) is None
    run = world.main.account.connection.runs.get()
    assert (run.mode, run.account_id, run.from_on) == ("range", world.main.account.pk, date(2026, 11, 5))
