"""How money, quantities, times and states are written on a page."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import RequestContext, Template
from django.test import RequestFactory
from django.utils import timezone

from brokerhub.kernel.money import Money
from brokerhub.kernel.templatetags.hub import relative_time

MINUS, NARROW = "\N{MINUS SIGN}", "\N{NARROW NO-BREAK SPACE}"


def written(source: str, cookies: dict[str, str] | None = None, **values: Any) -> str:
    request = RequestFactory().get("/")
    request.COOKIES.update(cookies or {})
    request.user = AnonymousUser()
    return Template("{% load hub %}" + source).render(RequestContext(request, values))


def test_money_has_thousands_cents_and_its_currency_behind_it() -> None:
    html = written('{% money amount "USD" %}', amount=Decimal("1234567.455"))
    assert html == '<span class="money">1,234,567.46<span class="money__currency">USD</span></span>'


def test_money_of_the_books_own_kind_brings_its_currency() -> None:
    assert "−5.00" in written("{% money amount %}", amount=Money(Decimal(-5), "EUR"))
    assert ">EUR<" in written("{% money amount %}", amount=Money(Decimal(-5), "EUR"))


def test_a_column_with_its_currency_in_the_head_repeats_none() -> None:
    assert written("{% money amount %}", amount=Decimal("2")) == '<span class="money">2.00</span>'


def test_yen_have_no_cents() -> None:
    assert ">1,235<" in written('{% money amount "JPY" %}', amount=Decimal("1234.6"))


@pytest.mark.parametrize(
    ("amount", "text", "tone"),
    [("12.3", "+12.30", " is-gain"), ("-12.3", f"{MINUS}12.30", " is-loss"), ("0", "0.00", "")],
)
def test_a_gain_and_a_loss_differ_in_sign_and_colour(amount: str, text: str, tone: str) -> None:
    html = written("{% money amount sign=True %}", amount=Decimal(amount))
    assert html == f'<span class="money{tone}">{text}</span>'


def test_what_rounds_to_nothing_is_neither_gain_nor_loss() -> None:
    assert written("{% money amount sign=True %}", amount=Decimal("-0.001")) == '<span class="money">0.00</span>'


@pytest.mark.parametrize("tag", ['money amount "USD"', "price amount", "quantity amount"])
def test_unknown_is_a_dash_that_says_so_and_never_a_zero(tag: str) -> None:
    html = written("{% " + tag + " %}", amount=None)
    assert "\N{EM DASH}</abbr>" in html
    assert 'title="The broker did not say"' in html


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("10.0000000000", "10"),
        ("0.123456789012345678", "0.123456789012345678"),
        ("1000", "1,000"),
        ("-2.50", f"{MINUS}2.5"),
    ],
)
def test_a_quantity_is_exact_without_trailing_zeros(amount: str, text: str) -> None:
    assert f">{text}<" in written("{% quantity amount %}", amount=Decimal(amount))


@pytest.mark.parametrize(("amount", "text"), [("12.5", "12.50"), ("0.00012345", "0.000123"), ("1200", "1,200.00")])
def test_a_price_goes_to_the_cent_and_further_where_it_has_more(amount: str, text: str) -> None:
    assert f">{text}<" in written("{% price amount %}", amount=Decimal(amount))


def test_a_fraction_becomes_a_percentage_with_its_sign() -> None:
    assert f"+1.25{NARROW}%" in written("{% percent part %}", part=Decimal("0.0125"))
    assert f">{MINUS}50.0{NARROW}%<" in written("{% percent part places=1 %}", part=Decimal("-0.5"))


def test_an_unknown_percentage_can_say_why() -> None:
    assert 'title="No cost is known"' in written('{% percent part why="No cost is known" %}', part=None)


def test_hidden_amounts_are_not_in_the_page_at_all() -> None:
    source = '{% money amount "USD" %}{% quantity amount %}{% price amount %}'
    html = written(source, {"amounts": "hidden"}, amount=Decimal("4321"))
    assert html.count("Hidden") == 2
    assert html.count("4,321") == 1, "the price is public and stays"


def test_amounts_stay_hidden_inside_an_include_that_passes_nothing_on() -> None:
    source = "{% include part with amount=amount only %}"
    part = Template("{% load hub %}{% money amount %}")
    assert "4,321" not in written(source, {"amounts": "hidden"}, amount=Decimal("4321"), part=part)


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=-20), "in a moment"),
        (timedelta(seconds=50), "1 min ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(minutes=59, seconds=50), "1 h ago"),
        (timedelta(hours=23, minutes=50), "23 h ago"),
        (timedelta(hours=30), "1 day ago"),
        (timedelta(days=12), "12 days ago"),
        (timedelta(days=40), "4 Apr 2026"),
        (-timedelta(minutes=5), "in 5 min"),
        (-timedelta(days=2, hours=1), "in 2 days"),
    ],
)
def test_times_are_told_as_people_tell_them(distance: timedelta, words: str) -> None:
    now = datetime(2026, 5, 14, 12, tzinfo=UTC)
    assert relative_time(now - distance, now) == words


def test_the_exact_time_stands_behind_it_in_the_persons_own_zone() -> None:
    with timezone.override(ZoneInfo("America/New_York")):
        html = written("{% ago at %}", at=datetime(2026, 1, 5, 14, 30, 1, tzinfo=UTC))
    assert 'datetime="2026-01-05T14:30:01+00:00"' in html
    assert 'title="5 Jan 2026, 09:30:01 EST"' in html


def test_what_never_happened_says_so() -> None:
    assert ">Not yet<" in written('{% ago at "Not yet" %}', at=None)


def test_text_in_a_badge_is_escaped() -> None:
    assert "&lt;b&gt;" in written("{% badge 'bad' text %}", text="<b>")


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("curl/8.5.0", "A program"),
    ],
)
def test_a_device_is_named_as_people_know_it(user_agent: str, name: str) -> None:
    assert written("{{ agent|device }}", agent=user_agent) == name


def test_a_table_can_be_scrolled_with_the_keyboard_and_exported() -> None:
    html = written('{% table "Positions" csv="/p.csv" %}<tbody></tbody>{% endtable %}')
    assert 'tabindex="0" role="region" aria-label="Positions"' in " ".join(html.split())
    assert 'aria-label="Positions as CSV"' in html
    assert "<tbody></tbody>" in html


def test_progress_without_a_total_claims_none() -> None:
    assert "value=" not in written('{% progress "Connecting" %}')
    assert 'value="3" max="7"' in " ".join(written('{% progress "Fetching" 3 7 %}').split())
