"""How health writes durations, shares, budgets and operations for people. An unknown value is a dash that says so."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from connections.brokers.calls import Operation
from health.metrics import Budget

register = template.Library()
NARROW = "\N{NARROW NO-BREAK SPACE}"

OPERATIONS: dict[Operation, str] = {
    Operation.SIGN_IN: "Signing in",
    Operation.REFRESH: "Renewing a sign-in",
    Operation.IDENTITY: "Who signed in",
    Operation.ACCOUNTS: "Accounts",
    Operation.HOLDINGS: "Positions and balances",
    Operation.TRANSACTIONS: "Transactions",
    Operation.PROBE: "Test call each minute",
}
PERIODS = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
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
