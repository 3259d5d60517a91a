"""Where a rate limit is known from, and which of them the hub keeps to."""

from datetime import timedelta

import pytest

from connections.brokers import budgets
from connections.brokers.base import RateLimited
from connections.brokers.budgets import Budget
from connections.brokers.calls import Operation
from connections.brokers.records import Broker


def test_a_limit_is_what_the_answer_says_else_what_was_learned_else_what_is_documented() -> None:
    budget = Budget(60, 60, "limits-test")

    def seen(remaining: int, headers: dict[str, str] | None = None, was_refused: bool = False) -> tuple[int, int, str]:
        found = budgets.seen(Broker.SCHWAB, budget, remaining, headers, was_refused=was_refused)
        return found.limit, found.remaining, found.source.value

    assert seen(45) == (60, 45, "documented")
    assert seen(45, {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "199"}) == (200, 199, "header")
    assert seen(45, {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": ""}) == (60, 45, "documented")
    assert seen(20, was_refused=True) == (40, 0, "learned")
    assert seen(50) == (40, 30, "learned")


def test_a_limit_that_was_met_is_forgotten_when_the_broker_lets_more_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the very first call of a minute: something else was in the way of it."""
    budget = Budget(60, 60, "met-once")

    def seen(used: int, *, was_refused: bool = False) -> tuple[int, int, str]:
        found = budgets.seen(Broker.SCHWAB, budget, budget.limit - used, None, was_refused=was_refused)
        return found.limit, found.remaining, found.source.value

    assert seen(1, was_refused=True) == (1, 0, "learned")
    assert seen(2) == (1, 0, "learned"), "the hub's own count may be one off"
    assert seen(3) == (60, 57, "documented")
    assert seen(1) == (60, 59, "documented")
    monkeypatch.setattr(budgets, "ANOTHER", timedelta(0))
    seen(20, was_refused=True)
    seen(20, was_refused=True)
    assert [seen(30), seen(5)] == [(20, 0, "learned"), (20, 15, "learned")], "what is kept to is shown"


def test_a_limit_that_is_met_a_second_time_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(60, 60, "met-twice", reserve=10)

    def refused_after(calls: int) -> None:
        budgets.seen(Broker.SCHWAB, budget, budget.limit - calls, None, was_refused=True)

    refused_after(20)
    refused_after(20)
    spend(budget, 20)  # once is no proof, and refusals of the same moment are one
    monkeypatch.setattr(budgets, "ANOTHER", timedelta(0))
    refused_after(30)
    spend(budget, 3)  # of 30, seven are kept for those who sign in
    with pytest.raises(RateLimited):
        spend(budget, 1)
    spend(budget, 7, Operation.SIGN_IN)
    with pytest.raises(RateLimited):
        spend(budget, 1, Operation.SIGN_IN)


def test_a_learned_limit_is_a_quarter_of_the_documented_one_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "ANOTHER", timedelta(0))
    budget = Budget(60, 60, "met-at-once")
    for _ in range(2):
        budgets.seen(Broker.SCHWAB, budget, 59, None, was_refused=True)
    spend(budget, 15)
    with pytest.raises(RateLimited):
        spend(budget, 1)


def test_a_smaller_limit_that_the_broker_tells_is_kept_to_at_once_and_a_larger_one_is_not_used() -> None:
    small, large = Budget(60, 60, "told-less"), Budget(10, 60, "told-more")
    for budget in (small, large):
        headers = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "19"}
        budgets.seen(Broker.ALPACA, budget, budget.limit - 1, headers, was_refused=False)
    spend(small, 20, broker=Broker.ALPACA)
    spend(large, 10, broker=Broker.ALPACA)
    for budget in (small, large):
        with pytest.raises(RateLimited):
            spend(budget, 1, broker=Broker.ALPACA)


def spend(
    budget: Budget, calls: int, operation: Operation = Operation.TRANSACTIONS, broker: Broker = Broker.SCHWAB
) -> None:
    for _ in range(calls):
        budgets.spend(broker, operation, budget)
