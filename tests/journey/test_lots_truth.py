"""The lots of the seeded people, worked out from what was synced, against what the sandbox knows of their cost."""

from decimal import Decimal

from aggregation.lots.service import OpenLot, lots_of
from aggregation.lots.words import Why
from tests.journey.books import sync

# A reinvested dividend buys whole ten-thousandths of a share: price x units is up to half of one from the cash it took.
HALF_A_STEP = Decimal("0.00005")


def by_position(lots):
    """(account's id at the broker, symbol) -> its open lots."""
    found: dict[tuple[str, str], list[OpenLot]] = {}
    for each in lots.open:
        found.setdefault((each.account.external_id, each.instrument.symbol), []).append(each)
    return found


def test_lots_add_up_to_what_is_held_and_cost_what_was_paid(connect, person, sandbox):
    connection = connect(person)
    sync(connection)
    lots = lots_of(connection.user)
    found = by_position(lots)
    truth = {
        (account["hash"], position["symbol"]): position
        for account in sandbox.truth()["accounts"]
        for position in account["positions"]
    }
    assert found.keys() == truth.keys()
    other = {  # shares taken along have no cost yet, and the sandbox keeps an option's premium out of the shares' cost
        (account["hash"], row["symbol"])
        for account in sandbox.truth()["accounts"]
        for row in account["transactions"]
        if row["nature"].startswith(("delivery_", "shares_"))
    }
    compared = 0
    for place, position in truth.items():
        held = found[place]
        assert sum(each.lot.quantity for each in held) == Decimal(position["quantity"]), place
        costs = [each.lot.cost for each in held]
        if place in other:
            continue
        assert None not in costs, place
        units = Decimal(position["quantity"]) * Decimal(position["multiplier"])
        told = Decimal(position["average_cost"])
        assert abs(sum(costs) - told * units) <= HALF_A_STEP * (len(held) * told + abs(units)), place
        compared += 1
    assert compared >= 8
    whys = {each.why for each in lots.open} | {each.why for each in lots.closed}
    assert whys <= {Why.KNOWN, Why.TRANSFERRED}
