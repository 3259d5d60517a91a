"""How the hub writes money, quantities, times and states on a page, the same everywhere.

Amounts answer to the person's wish to hide them (a cookie), so these tags read the request. Unknown (None) is a dash
that says so, never a zero. A sign is always written out: U+2212 for minus, + where `sign=True` asks for it.
"""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django import template
from django.forms import BoundField
from django.template import Context
from django.template.loader import render_to_string
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from brokerhub.kernel.money import MINOR_UNITS, Money
from brokerhub.kernel.preferences import amounts_hidden

register = template.Library()
MINUS = "\N{MINUS SIGN}"
UNKNOWN = "The broker did not say"
DOTS = "\N{BULLET}" * 4
PRICE_PLACES = 6
# The first word that occurs wins: Edge and Opera also call themselves Chrome, and Chrome calls itself Safari.
BROWSERS = [
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrom", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
]
SYSTEMS = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
]


@register.simple_tag(takes_context=True)
def money(context: Context, amount: Decimal | Money | None, currency: str = "", sign: bool = False) -> SafeString:
    """An amount to the cent with its currency behind it; with `sign`, gains and losses are told apart.

    {% money balance.cash balance.currency %}, {% money position.day_change "USD" sign=True %}; without a currency (a
    column that has one in its head) none is written.
    """
    if isinstance(amount, Money):
        return money(context, amount.amount, amount.currency, sign)
    if amount is None:
        return _unknown("money")
    if amounts_hidden(getattr(context, "request", None)):
        return _hidden(currency)
    rounded = amount.quantize(Decimal(1).scaleb(-MINOR_UNITS.get(currency, 2)), rounding=ROUND_HALF_EVEN)
    return _number("money", _written(rounded, plus=sign), tone=rounded if sign else None, currency=currency)


@register.simple_tag
def price(amount: Decimal | None, currency: str = "") -> SafeString:
    """A price per unit: to the cent, and on to six places where it has them. Public knowledge, so never hidden."""
    if amount is None:
        return _unknown("money")
    least = MINOR_UNITS.get(currency, 2)
    return _number("money", _written(_trimmed(amount, most=PRICE_PLACES, least=least)), currency=currency)


@register.simple_tag(takes_context=True)
def quantity(context: Context, amount: Decimal | None, sign: bool = False) -> SafeString:
    """A number of units, exactly, without trailing zeros."""
    if amount is None:
        return _unknown("quantity")
    if amounts_hidden(getattr(context, "request", None)):
        return _hidden("")
    exact = _trimmed(amount, most=18)
    return _number("quantity", _written(exact, plus=sign), tone=exact if sign else None)


@register.simple_tag
def percent(fraction: Decimal | None, sign: bool = True, places: int = 2, why: str = "") -> SafeString:
    """A fraction (0.0125) as a percentage (+1.25 %). `why` says why an unknown one is unknown."""
    if fraction is None:
        return _unknown("percent", why or "Not known")
    rounded = (fraction * 100).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    return _number(
        "percent", f"{_written(rounded, plus=sign)}\N{NARROW NO-BREAK SPACE}%", tone=rounded if sign else None
    )


@register.simple_tag
def ago(at: datetime | None, never: str = "Never") -> SafeString:
    """A moment as people say it, the exact time on hover; {% ago run.finished_at %}. Future moments read "in 5 min"."""
    if at is None:
        return format_html('<span class="muted">{}</span>', never)
    exact = formats.date_format(timezone.localtime(at), "j M Y, H:i:s T")
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}" data-relative>{}</time>',
        at.astimezone(UTC).isoformat(timespec="seconds"),
        exact,
        relative_time(at, timezone.now()),
    )


@register.simple_tag
def badge(tone: str, text: str, title: str = "") -> SafeString:
    """A state in words; `tone` is good, warn, bad, wait, quiet or plain: {% badge run.status.tone "Done" %}."""
    return format_html('<span class="badge badge--{}"{}>{}</span>', tone, _title(title), text)


@register.filter
def device(user_agent: str) -> str:
    """A browser's User-Agent header as people know it: "Firefox on Windows". A help to recognise, no proof."""
    browser = next((name for word, name in BROWSERS if word in user_agent), "A program")
    system = next((name for word, name in SYSTEMS if word in user_agent), "")
    return f"{browser} on {system}" if system else browser


@register.inclusion_tag("components/progress.html")
def progress(text: str, done: int | None = None, total: int | None = None, tone: str = "") -> dict[str, Any]:
    """A progress bar named by `text`; without a total it says that it is busy."""
    known = done is not None and bool(total)
    return {"text": text, "done": done, "total": total, "tone": tone, "known": known}


@register.inclusion_tag("components/empty_state.html")
def empty_state(title: str, text: str = "", icon: str = "inbox", url: str = "", action: str = "") -> dict[str, Any]:
    """What stands where nothing is yet: why, and the one thing to do about it."""
    return {"title": title, "text": text, "icon": icon, "url": url, "action": action}


@register.inclusion_tag("components/alert.html")
def alert(tone: str, text: str, url: str = "", action: str = "") -> dict[str, Any]:
    """A standing notice in the page with at most one action. Bad ones interrupt a screen reader, others wait."""
    return {"tone": tone, "text": text, "url": url, "action": action}


@register.inclusion_tag("components/field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """One form field with label, help and errors; the same as {{ form.name.as_field_group }}."""
    return {"field": bound}


@register.inclusion_tag("components/skeleton.html")
def skeleton(lines: int = 3) -> dict[str, Any]:
    """Grey lines that stand in for what htmx is loading."""
    return {"lines": range(lines)}


@register.simple_block_tag
def table(content: str, caption: str, **options: Any) -> SafeString:
    """The frame of a table around its <thead> and <tbody>: caption, sideways scrolling with the keyboard, export links.

    {% table "Positions" csv=csv_url json=json_url stack=True %}<thead>...</thead><tbody>...</tbody>{% endtable %}
    `stack` shows rows as small cards on phones (give each td a data-label), `hide_caption` leaves it to screen readers.
    """
    return render_to_string("components/table.html", {"content": content, "caption": caption, **options})


LITTLE = timedelta(seconds=5)  # by which clocks may differ: such a time is not one to come


def relative_time(at: datetime, now: datetime) -> str:
    """`at` seen from `now`: "just now", "5 min ago", "in a moment", "in 2 h"; beyond a month the date. As clock.js."""
    distance = abs(now - at)
    if distance < timedelta(seconds=45):
        return "just now" if at <= now + LITTLE else "in a moment"
    if distance >= timedelta(days=31):
        return formats.date_format(timezone.localtime(at), "j M Y")
    minutes = max(round(distance.total_seconds() / 60), 1)
    if minutes < 60:
        words = f"{minutes} min"
    elif minutes < 24 * 60:
        words = f"{minutes // 60} h"
    else:
        days = minutes // (24 * 60)
        words = "1 day" if days == 1 else f"{days} days"
    return f"{words} ago" if at < now else f"in {words}"


def _trimmed(amount: Decimal, *, most: int, least: int = 0) -> Decimal:
    """At most `most` decimals, and no trailing zeros beyond `least`."""
    normal = round(amount, most).normalize()
    exponent = normal.as_tuple().exponent
    return normal.quantize(Decimal(1).scaleb(-least)) if isinstance(exponent, int) and -exponent < least else normal


def _written(amount: Decimal, *, plus: bool = False) -> str:
    mark = MINUS if amount < 0 else "+" if plus and amount > 0 else ""
    return f"{mark}{abs(amount):,f}"


def _number(kind: str, text: str, *, tone: Decimal | None = None, currency: str = "") -> SafeString:
    colour = "" if not tone else " is-gain" if tone > 0 else " is-loss"
    return format_html('<span class="{}{}">{}{}</span>', kind, colour, text, _currency(currency))


def _currency(currency: str) -> SafeString:
    return format_html('<span class="money__currency">{}</span>', currency) if currency else SafeString("")


def _unknown(kind: str, why: str = UNKNOWN) -> SafeString:
    return format_html('<abbr class="{} is-unknown" title="{}">\N{EM DASH}</abbr>', kind, why)


def _hidden(currency: str) -> SafeString:
    return format_html(
        '<span class="money money--hidden"><span aria-hidden="true">{}</span>'
        '<span class="visually-hidden">Hidden</span>{}</span>',
        DOTS,
        _currency(currency),
    )


def _title(text: str) -> SafeString:
    return format_html(' title="{}"', text) if text else SafeString("")
