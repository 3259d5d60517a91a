"""Stories and market by themselves, told up to other days than today: the same past, on whatever day they are told."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from connections.sandbox.book import Account, Event
from connections.sandbox.market import OPENING_DAY, Market, option_symbol
from connections.sandbox.people import People
from connections.sandbox.trading_days import holidays, is_open, last_open, settlement, third_friday


def accounts_told(on: date) -> list[Account]:
    people = People(Market(2026))
    people.tell(on)
    return [account for person in people.everyone() for account in person.accounts]


def test_a_story_told_later_only_grows_longer() -> None:
    earlier, later = accounts_told(date(2026, 3, 18)), accounts_told(date(2027, 8, 5))
    for before, after in zip(earlier, later, strict=True):
        length = len(before.events)
        assert after.events[:length] == before.events
        assert len(after.events) > length


@pytest.mark.parametrize("year", [2027, 2028, 2030])
def test_a_story_can_be_told_for_years_to_come(year: int) -> None:
    for account in accounts_told(date(year, 2, 1)):
        assert account.events[-1].traded_on.year in (year - 1, year)
        assert account.cash > 0
        assert account.holdings


def test_nothing_lies_ahead_of_the_day_on_which_the_story_is_told() -> None:
    for day in (date(2026, 1, 7), date(2026, 1, 8), date(2026, 6, 20)):
        for account in accounts_told(day):
            assert all(event.posted_at.date() <= day for event in account.events)


@pytest.mark.parametrize("today", [date(2026, 11, 22), date(2026, 11, 23), date(2026, 11, 27)])
def test_a_generated_person_has_exactly_the_number_asked_for(today: date) -> None:
    person = People(Market(2026)).invent(login="crowd", seed=9, transactions=2_500, today=today)
    events: list[Event] = person.accounts[0].events
    assert len(events) == len({event.id for event in events}) == 2_500
    assert all(event.traded_on < today for event in events)


def test_prices_are_the_same_in_whatever_order_they_are_asked() -> None:
    forwards, backwards = Market(2026), Market(2026)
    days = [OPENING_DAY + timedelta(days=step) for step in range(0, 1_500, 100)]
    first = {(symbol, day): forwards.price(symbol, day) for symbol in ("KO", "VTI") for day in days}
    second = {(symbol, day): backwards.price(symbol, day) for symbol in ("VTI", "KO") for day in reversed(days)}
    assert first == second


def test_a_split_divides_the_price_by_its_ratio() -> None:
    market = Market(2026)
    before, after = market.price("NVDA", date(2024, 6, 7)), market.price("NVDA", date(2024, 6, 10))
    assert 7 < before / after < 13


def test_an_option_is_worth_at_least_what_exercise_would_give() -> None:
    market, day = Market(2026), date(2026, 5, 4)
    spot = market.price("KO", day)
    call = option_symbol("KO", date(2026, 12, 18), "CALL", Decimal(40))
    assert market.price(call, day) >= spot - 40
    assert market.price(call, date(2026, 12, 18)) == market.price("KO", date(2026, 12, 18)) - 40


@pytest.mark.parametrize("symbol", ["NOPE1", "NOPE  270115C00240000", "AAPL  271315C00240000", "AAPL  270115X00240000"])
def test_what_is_not_listed_is_no_instrument(symbol: str) -> None:
    assert Market(2026).instrument(symbol) is None


def test_the_exchange_keeps_its_published_holidays() -> None:
    assert sorted(holidays(2026)) == [
        date(2026, 1, 1), date(2026, 1, 19), date(2026, 2, 16), date(2026, 4, 3), date(2026, 5, 25), date(2026, 6, 19),
        date(2026, 7, 3), date(2026, 9, 7), date(2026, 11, 26), date(2026, 12, 25),
    ]  # fmt: skip
    assert is_open(date(2021, 12, 31))  # New Year's Day 2022 was a Saturday: no day off for it
    assert last_open(date(2026, 11, 22)) == date(2026, 11, 20)


def test_trades_settle_a_day_later_and_two_before_may_2024() -> None:
    assert settlement(date(2024, 5, 24)) == date(2024, 5, 29)
    assert settlement(date(2026, 11, 25)) == date(2026, 11, 27)


def test_options_expire_on_thursday_when_the_third_friday_is_a_holiday() -> None:
    assert third_friday(2025, 4) == date(2025, 4, 17)
