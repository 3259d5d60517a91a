"""The three files of reference rates, below whatever prefix they are put."""

from datetime import date, timedelta
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from connections.sandbox.ecb import fixing
from connections.sandbox.ecb.side import ECB
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.market import OPENING_DAY
from connections.sandbox.world import WORLD

NINETY_DAYS = timedelta(days=90)
HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" \
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
\t<gesmes:subject>Reference rates</gesmes:subject>
\t<gesmes:Sender>
\t\t<gesmes:name>European Central Bank</gesmes:name>
\t</gesmes:Sender>
\t<Cube>
"""
TAIL = "\t</Cube>\n</gesmes:Envelope>"


def _file(*, since: timedelta | None) -> HttpResponse:
    """From the newest fixing back; None is all there ever were, 0 the newest alone."""
    newest = fixing.last_published(WORLD.clock.now())
    first = OPENING_DAY if since is None else newest - since
    return ECB.encode("".join([HEAD, *(_day(day) for day in fixing.days(first, newest)), TAIL]))


def _day(day: date) -> str:
    lines = (_line(currency, rate) for currency, rate in fixing.rates(WORLD.market, day))
    return f"\t\t<Cube time='{day.isoformat()}'>\n{''.join(lines)}\t\t</Cube>\n"


def _line(currency: str, rate: Decimal) -> str:
    return f"\t\t\t<Cube currency='{currency}' rate='{rate}'/>\n"


@operation(ECB, "daily")
def daily(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    return _file(since=timedelta(0))


@operation(ECB, "last_90_days")
def last_90_days(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    return _file(since=NINETY_DAYS)


@operation(ECB, "history")
def history(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    return _file(since=None)


@operation(ECB, "unknown_route")
def unknown_route(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    raise Refusal(404, "Page not found")


urlpatterns = [
    re_path(r"^stats/eurofxref/eurofxref-daily\.xml$", daily),
    re_path(r"^stats/eurofxref/eurofxref-hist-90d\.xml$", last_90_days),
    re_path(r"^stats/eurofxref/eurofxref-hist\.xml$", history),
    re_path(r"^", unknown_route),
]
