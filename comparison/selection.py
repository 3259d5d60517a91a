"""What a request asks the comparison for: plans, numbers, accounts, a period. Wrong input is said, never guessed."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import date, timedelta
from decimal import InvalidOperation
from typing import Any, TypeVar

from django.http import QueryDict
from django.utils import timezone

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.models import User
from comparison import matrix, profiles
from comparison.matrix import Calculator
from comparison.profiles import Profile
from comparison.simulation import Wish
from comparison.stored import Catalogue
from connections.models import Account

Numbers = TypeVar("Numbers", Calculator, Profile)
FIRST_YEAR = 1990


class NotUnderstood(HubError):
    """A value of the request; the text says which and what is possible."""


def plans(catalogue: Catalogue, query: QueryDict) -> list[str]:
    """The chosen plans in their alphabetical order; every one with plans=all; otherwise those that can be connected."""
    chosen = {ref for value in query.getlist("plan") for ref in value.split(",")} & catalogue.plans.keys()
    if chosen:
        return [ref for ref in catalogue.plans if ref in chosen]
    if query.get("plans") == "all":
        return list(catalogue.plans)
    return [ref for ref, plan in catalogue.plans.items() if plan.is_integrated]


def numbers(kind: type[Numbers], query: QueryDict, base: Numbers) -> Numbers:
    """`base` with what the query says otherwise. Raises NotUnderstood."""
    given: dict[str, Any] = {}
    for entry in fields(kind):
        text = query.get(entry.name, "").replace(",", "").strip()
        if not text:
            continue
        try:
            given[entry.name] = type(getattr(base, entry.name))(text)
        except (ValueError, InvalidOperation) as error:
            raise NotUnderstood(f"{entry.name.replace('_', ' ')}: {text!r} is not a number.") from error
    found = kind(**{entry.name: given.get(entry.name, getattr(base, entry.name)) for entry in fields(kind)})
    try:
        _check(found)
    except (ValueError, InvalidOperation) as error:  # NaN compares with nothing
        raise NotUnderstood(str(error).replace("_", " ").capitalize()) from error
    return found


def _check(found: Calculator | Profile) -> None:
    if isinstance(found, Calculator):
        matrix.check(found)
    else:
        profiles.check(found)


def day(text: str, name: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise NotUnderstood(f"{name}: {text!r} is not a date such as 2026-11-23.") from error
    if found.year < FIRST_YEAR:
        raise NotUnderstood(f"{name}: choose a day from {FIRST_YEAR} on.")
    return found


def period(query: QueryDict) -> tuple[date, date]:
    """`since` and `until`, or `period` as a calendar year; otherwise the last 365 days. Raises NotUnderstood."""
    today = timezone.localdate()
    said = query.get("period", "")
    if said.isascii() and said.isdigit() and len(said) == 4:
        year = int(said)
        if not FIRST_YEAR <= year <= today.year:
            raise NotUnderstood(f"period: choose a year from {FIRST_YEAR} to {today.year}.")
        return date(year, 1, 1), min(date(year, 12, 31), today)
    if said not in ("", "year", "custom"):
        raise NotUnderstood("period: a calendar year such as 2025, or `year` for the last 365 days.")
    use = said != "year"
    until = day(query.get("until", ""), "until") if use and query.get("until") else today
    since = day(query.get("since", ""), "since") if use and query.get("since") else until - timedelta(days=364)
    if since > until:
        raise NotUnderstood("The first day lies after the last one.")
    if since > today:
        raise NotUnderstood("The first day lies in the future.")
    return since, min(until, today)


def own_accounts(user: User) -> list[Account]:
    found = Account.objects.for_user(user).select_related("connection")
    return list(found.order_by("connection__label", "name", "pk"))


def wish(user: User, query: QueryDict) -> Wish:
    """What to replay: all accounts unless some are named; another person's are no accounts. Raises NotUnderstood.

    A form that showed the accounts sends `accounts=shown`: then none named means that none was left ticked.
    """
    accounts = {account.pk for account in own_accounts(user)}
    named = _ids(query.getlist("account"))
    if not named and accounts and query.get("accounts") == "shown":
        raise NotUnderstood("Choose at least one account.")
    chosen = accounts & named if named else accounts
    if named and not chosen:
        raise NotUnderstood("account: none of these is an account of yours.")
    rates = query.get("rates", "today")
    if rates not in ("today", "day"):
        raise NotUnderstood("rates: `today` or `day`.")
    since, until = period(query)
    return Wish(
        accounts=tuple(sorted(chosen)),
        since=since,
        until=until,
        rates_of=None if rates == "day" else timezone.localdate(),
    )


def _ids(texts: Iterable[str]) -> set[int]:
    words = [word for text in texts for word in text.split(",") if word]
    if not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words):
        raise NotUnderstood("account: the id of an account is a number.")
    return {int(word) for word in words}
