"""For people without data: a year described by a few numbers, made into events for the same engine. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal

from comparison import interest
from comparison.costs import Tariff
from comparison.replay import PlanCost, orders, placed, replay, with_more
from comparison.terms import ZERO, Asset, Event, Side

MONTHS = 12
DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a person does in a year. Trades are half buys and half sells, spread evenly over the months."""

    trades_a_month: int = 0
    shares: Decimal = Decimal(20)
    price: Decimal = Decimal(100)
    option_trades_a_month: int = 0
    contracts: Decimal = Decimal(1)
    premium: Decimal = Decimal(2)
    crypto_a_year: Decimal = ZERO  # USD bought
    fund_buys_a_year: int = 0
    idle_cash: Decimal = ZERO
    margin: Decimal = ZERO  # borrowed, on `margin_days` days of the year
    margin_days: int = 0
    converted_a_year: Decimal = ZERO  # USD, in four conversions
    transfers_out: int = 0
    account_value: Decimal = Decimal(25_000)


@dataclass(frozen=True, slots=True)
class Slider:
    """A field of a profile as people set it."""

    name: str
    label: str
    unit: str
    highest: int
    step: str = "1"


SLIDERS = (
    Slider("trades_a_month", "Stock and ETF trades", "a month", 200),
    Slider("shares", "Shares in a trade", "shares", 5_000),
    Slider("price", "Price of a share", "USD", 2_000, "0.01"),
    Slider("option_trades_a_month", "Option trades", "a month", 200),
    Slider("contracts", "Contracts in an option trade", "contracts", 100),
    Slider("premium", "Premium of an option", "USD a share", 100, "0.01"),
    Slider("crypto_a_year", "Crypto bought", "USD a year", 100_000),
    Slider("fund_buys_a_year", "Mutual funds bought", "a year", 50),
    Slider("idle_cash", "Cash not invested", "USD", 500_000),
    Slider("margin", "Borrowed on margin", "USD", 500_000),
    Slider("margin_days", "Days borrowed", "a year", DAYS),
    Slider("converted_a_year", "Currency exchanged", "USD a year", 500_000),
    Slider("transfers_out", "Transfers to another broker", "a year", 5),
    Slider("account_value", "Value of the account", "USD", 5_000_000),
)
LIMITS = {slider.name: slider.highest * 20 for slider in SLIDERS}  # typed numbers may go beyond the slider

PRESETS: dict[str, tuple[str, Profile]] = {
    "long_term": (
        "Long-term investor",
        Profile(trades_a_month=2, shares=Decimal(10), price=Decimal(250), idle_cash=Decimal(2_000)),
    ),
    "active_stocks": (
        "Active in stocks",
        Profile(trades_a_month=60, shares=Decimal(150), price=Decimal(60), account_value=Decimal(75_000)),
    ),
    "options": (
        "Options trader",
        Profile(
            trades_a_month=5,
            shares=Decimal(100),
            price=Decimal(80),
            option_trades_a_month=30,
            contracts=Decimal(3),
            account_value=Decimal(50_000),
        ),
    ),
    "margin": (
        "Borrows on margin",
        Profile(
            trades_a_month=10,
            shares=Decimal(50),
            price=Decimal(120),
            margin=Decimal(25_000),
            margin_days=180,
            account_value=Decimal(100_000),
        ),
    ),
    "international": (
        "Invests abroad",
        Profile(
            trades_a_month=4,
            shares=Decimal(30),
            price=Decimal(90),
            converted_a_year=Decimal(20_000),
            idle_cash=Decimal(5_000),
            account_value=Decimal(60_000),
        ),
    ),
    "developer": (
        "Developer, trades by API",
        Profile(trades_a_month=40, shares=Decimal(20), price=Decimal(50), account_value=Decimal(15_000)),
    ),
}


def check(profile: Profile) -> None:
    """Raises ValueError for a number nobody means."""
    for field in fields(profile):
        value = getattr(profile, field.name)
        if not 0 <= value <= LIMITS[field.name]:
            raise ValueError(f"{field.name} must be between 0 and {LIMITS[field.name]:,}.")


def _first(since: date, month: int) -> date:
    return since + timedelta(days=round(month * DAYS / MONTHS))


def of_having(since: date) -> Iterator[Event]:
    """What an account may cost in the year that starts on `since`, whatever is done with it."""
    for month in range(MONTHS):
        yield Event(on=_first(since, month), item="subscription")
        yield Event(on=_first(since, month), item="account_inactivity")
    yield Event(on=since, item="annual_account_fee")


def trades(profile: Profile, since: date, months: int) -> Iterator[Event]:
    """The shares and options that `profile` trades in the months from `since` on."""
    for month in range(months):
        yield from _trades(profile, _first(since, month), month)


def events(profile: Profile, since: date) -> Iterator[Event]:
    """What `profile` does in the year that starts on `since`."""
    yield from trades(profile, since, MONTHS)
    if profile.crypto_a_year:
        yield Event(
            on=since,
            asset=Asset.CRYPTO,
            side=Side.BUY,
            quantity=profile.crypto_a_year,
            price=Decimal(1),
            amount=profile.crypto_a_year,
            order="crypto",
        )
    for number in range(profile.fund_buys_a_year):
        amount = profile.shares * profile.price
        yield Event(
            on=since + timedelta(days=number),
            asset=Asset.MUTUAL_FUND,
            side=Side.BUY,
            quantity=profile.shares,
            price=profile.price,
            amount=amount,
            order=f"fund {number}",
        )
    for quarter in range(4 if profile.converted_a_year else 0):
        yield Event(on=since + timedelta(days=91 * quarter), asset=Asset.FX, amount=profile.converted_a_year / 4)
    for number in range(profile.transfers_out):
        yield Event(on=since + timedelta(days=number), item="acats_out_full")


def _trades(profile: Profile, first: date, month: int) -> Iterator[Event]:
    for number in range(profile.trades_a_month):
        yield Event(
            on=first + timedelta(days=number % 28),
            asset=Asset.US_STOCK,
            side=(Side.BUY, Side.SELL)[(number + month * profile.trades_a_month) % 2],
            quantity=profile.shares,
            price=profile.price,
            amount=profile.shares * profile.price,
            order=f"stock {month} {number}",
        )
    for number in range(profile.option_trades_a_month):
        opens = (number + month * profile.option_trades_a_month) % 2 == 0
        yield Event(
            on=first + timedelta(days=number % 28),
            asset=Asset.EQUITY_OPTION,
            side=Side.BUY if opens else Side.SELL,
            opening=opens,
            quantity=profile.contracts,
            price=profile.premium,
            amount=profile.contracts * profile.premium * 100,
            order=f"option {month} {number}",
        )


def simulate(profile: Profile, tariffs: dict[str, Tariff], today: date) -> dict[str, PlanCost]:
    """A year of `profile` at each plan, at the rates the tariffs were made for."""
    since = today - timedelta(days=DAYS - 1)
    history = placed(orders([*events(profile, since), *of_having(since)]))
    found = {}
    for ref, tariff in tariffs.items():
        cost = found[ref] = replay(tariff, history)
        cost.priced = sum(one.order.event.side is not None for one in history) - sum(cost.impossible.values())
        _add_interest(profile, tariff, today, cost)
        if profile.idle_cash:
            cost.add(interest.cash(tariff, profile.idle_cash, DAYS, today, profile.account_value))
    return found


def _add_interest(profile: Profile, tariff: Tariff, today: date, cost: PlanCost) -> None:
    if profile.margin and profile.margin_days:
        for line in interest.margin(tariff, profile.margin, profile.margin_days, today):
            cost.add(line)


QUARTER = 3  # months; volume counts by the month, trades by the quarter


def extra(profile: Profile, tariffs: dict[str, Tariff], today: date) -> dict[str, PlanCost]:
    """What the trades and the loan of `profile` alone add in a year: a quarter of trades, four times. Much faster
    than a whole year, for asking "what if" many times."""
    history = placed(orders(trades(profile, today - timedelta(days=DAYS - 1), QUARTER)))
    found = {}
    for ref, tariff in tariffs.items():
        cost = with_more(PlanCost(ref), replay(tariff, history), Decimal(MONTHS // QUARTER))
        _add_interest(profile, tariff, today, cost)
        found[ref] = cost
    return found
