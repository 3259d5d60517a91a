"""How health writes durations, shares, budgets and operations for people. An unknown value is a dash that says so."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django import template
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from brokerhub.kernel.hints import hints
from connections.brokers.calls import LimitSource, Operation
from connections.models import Connection
from health import banners
from health.health_monitor import BrokerHealth
from health.metrics import Budget
from health.uptime import Day
from health.verdicts import Status

register = template.Library()
NARROW = "\N{NARROW NO-BREAK SPACE}"

OPERATIONS: dict[Operation, str] = {
    Operation.SIGN_IN: "Signing in",
    Operation.REFRESH: "Renewing a sign-in",
    Operation.IDENTITY: "Who signed in",
    Operation.ACCOUNTS: "Accounts",
    Operation.HOLDINGS: "Positions and balances",
    Operation.TRANSACTIONS: "Transactions",
    Operation.PRICES: "Prices of days gone by",
    Operation.PROBE: "Test call",
}
SOURCES = {
    LimitSource.HEADER: "The broker itself says its limit.",
    LimitSource.DOCUMENTED: "The limit is the documented one; the hub counts its own calls.",
    LimitSource.LEARNED: "The limit was learned: the broker refused before the documented one was reached.",
}
PERIODS = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
PERIOD_WORDS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"}
HEIGHTS = {Status.UNKNOWN: 6, Status.OPERATIONAL: 40, Status.DEGRADED: 30, Status.MAINTENANCE: 20}  # of 40; down: 14
WIDGET = "health:widget:shown"
NEARLY_USED, USED_UP = 0.8, 1.0


def _unknown() -> SafeString:
    return format_html('<abbr class="is-unknown" title="{}">{}</abbr>', "Nothing measured", "\N{EM DASH}")


@register.filter
def latency(seconds: float | None) -> str:
    """Seconds as people read them: 85 ms, 1.24 s, 12.4 s."""
    if seconds is None:
        return _unknown()
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}{NARROW}ms"
    return f"{seconds:.2f}{NARROW}s" if seconds < 10 else f"{seconds:.1f}{NARROW}s"


@register.filter
def share(fraction: float | None) -> str:
    """0..1 as a percentage with one decimal. What is not nothing never reads as 0.0 %, nor an almost-all as 100 %."""
    if fraction is None:
        return _unknown()
    if 0 < fraction < 0.001:
        return f"under 0.1{NARROW}%"
    if 0.999 < fraction < 1:
        return f"over 99.9{NARROW}%"
    return f"{fraction:.1%}".replace("%", f"{NARROW}%")


@register.filter
def operation_words(operation: Operation) -> str:
    return OPERATIONS[operation]


@register.filter
def budget_words(budget: Budget) -> str:
    """What the bar shows; with the number of calls where their use is not known and the bar cannot say it."""
    per = f" per {PERIODS.get(budget.period, f'{budget.period} s')}" if budget.period else ""
    return f"Calls used{per}" if budget.used is not None else f"{budget.limit} calls{per} allowed, use not known"


@register.filter
def budget_tone(budget: Budget) -> str:
    used = budget.used_share
    if used is None or used < NEARLY_USED:
        return ""
    return "bad" if used >= USED_UP else "warn"


@register.filter
def budget_source_words(budget: Budget) -> str:
    return SOURCES[budget.source]


@register.filter
def budget_reset_words(budget: Budget, now: datetime) -> str:
    """When all of it is there again: "now", or "in 40 s"."""
    left = (budget.resets_at - now).total_seconds() if budget.resets_at else 0.0
    return f"in {seconds_words(left)}" if left >= 1 and budget.used else "now"


@register.filter
def calls_left(budget: Budget | None) -> str:
    if budget is None or budget.remaining is None:
        return _unknown()
    return f"{budget.remaining} of {budget.limit}"


@register.filter
def of_connection(own_budgets: Mapping[UUID, Any], connection: Connection) -> Any:
    return own_budgets.get(connection.pk)


@register.filter
def any_unused(brokers: Iterable[BrokerHealth]) -> bool:
    return any(health.is_unused for health in brokers)


@register.filter
def operations_words(operations: Iterable[str]) -> str:
    return ", ".join(OPERATIONS[Operation(each)] for each in operations)


@register.filter
def period_words(name: str) -> str:
    return PERIOD_WORDS[name]


@register.filter
def seconds_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))}{NARROW}s"
    return f"{round(seconds / 60)}{NARROW}min" if seconds < 5_400 else f"{round(seconds / 3600)}{NARROW}h"


@register.filter
def days_words(days: Iterable[Day]) -> str:
    """The bars for who does not see them: "70 days operational, 1 day major outage, 19 days unknown"."""
    counted = Counter(day.status for day in days)
    parts = (
        f"{count} day{'' if count == 1 else 's'} {status.label.lower()}" for status, count in counted.most_common()
    )
    return ", ".join(parts) + "."


@register.filter
def times(number: int, factor: int) -> int:
    return number * factor


@register.filter
def bar_height(status: Status) -> int:
    return HEIGHTS.get(status, 14)


@register.filter
def bar_top(status: Status) -> int:
    return 40 - bar_height(status)


@register.simple_tag
def last_widget() -> SafeString:
    """The widget as it was last read, if that is not long ago: on the page at once, and without JavaScript."""
    return mark_safe(hints.get(WIDGET) or "")  # nosec B703, B308  # our own rendered template


@register.inclusion_tag("health/_banner.html", takes_context=True)
def maintenance_banner(context: Context) -> dict[str, Any]:
    """What a person should know on every page of maintenance at their brokers: before it, while it is on, after it."""
    request = context.get("request")
    user = getattr(request, "user", None)
    shown = banners.shown_to(user, timezone.now()) if user is not None and user.is_authenticated else []
    return {"banners": shown, "request": request, "csrf_token": context.get("csrf_token")}
