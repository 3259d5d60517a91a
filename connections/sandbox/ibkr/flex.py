"""The Flex Web Service: ask for a statement, fetch it when it is made. Its refusals come with status 200."""

from datetime import date, datetime, timedelta
from xml.etree import ElementTree as ET  # nosec B405  # names for types and building; defusedxml parses

from django.http import HttpRequest, HttpResponse

from connections.sandbox.clock import NEW_YORK
from connections.sandbox.faults import FaultKind
from connections.sandbox.gate import HTML_PAGE, Exchange, Refusal, operation
from connections.sandbox.hosts import BY_HOST
from connections.sandbox.ibkr.flex_tokens import QUERIES, FlexToken, Query
from connections.sandbox.ibkr.side import IBKR
from connections.sandbox.ibkr.statements import document, opened_on
from connections.sandbox.people import Person
from connections.sandbox.trading_days import ONE_DAY
from connections.sandbox.world import WORLD

XML = "text/xml;charset=UTF-8"
LONGEST_SPAN = timedelta(days=365)
REAL_URL = "https://ndcdyn.interactivebrokers.com/AccountManagement/FlexWebService/GetStatement"
SHORTLY = "Please try again shortly."
MESSAGES = {
    "1001": f"Statement could not be generated at this time. {SHORTLY}",
    "1003": "Statement is not available.",
    "1004": f"Statement is incomplete at this time. {SHORTLY}",
    "1005": f"Settlement data is not ready at this time. {SHORTLY}",
    "1006": f"FIFO P/L data is not ready at this time. {SHORTLY}",
    "1007": f"MTM P/L data is not ready at this time. {SHORTLY}",
    "1008": f"MTM and FIFO P/L data is not ready at this time. {SHORTLY}",
    "1009": f"The server is under heavy load. Statement could not be generated at this time. {SHORTLY}",
    "1010": "Legacy Flex Queries are no longer supported. Please convert over to Activity Flex.",
    "1011": "Service account is inactive.",
    "1012": "Token has expired.",
    "1013": "IP restriction.",
    "1014": "Query is invalid.",
    "1015": "Token is invalid.",
    "1016": "Account in invalid.",
    "1017": "Reference code is invalid.",
    "1018": f"Too many requests have been made from this token. {SHORTLY}",
    "1019": f"Statement generation in progress. {SHORTLY}",
    "1020": "Invalid request or unable to validate request.",
    "1021": f"Statement could not be retrieved at this time. {SHORTLY}",
}
WARNINGS = ("1001", "1004", "1005", "1006", "1007", "1008", "1009", "1018", "1019", "1021")


class FlexError(Exception):
    """One of the service's codes."""

    def __init__(self, code: str) -> None:
        super().__init__(MESSAGES[code])
        self.code = code


@operation(IBKR, "flex_request")
def send_request(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    try:
        token = _token(request, exchange)
        query, person = _query(request), _person(token)
        first, last, period = _window(request, person)
    except FlexError as problem:
        return _refusal(problem.code)
    reference = IBKR.flex.order(token.login, query, first, last, period, IBKR.switches.flex_delay)
    return _control(Status="Success", ReferenceCode=reference, Url=_statement_url(request))


@operation(IBKR, "flex_statement")
def get_statement(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    try:
        token = _token(request, exchange)
        wanted = IBKR.flex.statement(token.login, request.GET.get("q", ""))
        if wanted is None:
            raise FlexError("1017")
        if WORLD.clock.now() < wanted.ready_at:
            raise FlexError("1019")
    except FlexError as problem:
        return _refusal(problem.code)
    yesterday = WORLD.clock.today() - ONE_DAY
    body = document(
        _person(token), wanted.query, wanted.first, wanted.last or yesterday, wanted.period, exchange.faults
    )
    return HttpResponse(body, content_type=XML)


@operation(IBKR, "flex_request")
def retired(request: HttpRequest, exchange: Exchange) -> HttpResponse:
    """The addresses before version 3 still answer, and give nothing."""
    return _refusal("1003")


def _token(request: HttpRequest, exchange: Exchange) -> FlexToken:
    """Raises Refusal without a User-Agent, FlexError for a token that may not, or not now."""
    if not request.headers.get("User-Agent"):
        raise Refusal(403, HTML_PAGE.format(title="Access Denied", text="Reference #18.6f3c1502"))
    for fault in exchange.faults:
        if fault.kind is FaultKind.BROKER_ERROR and (code := str(fault.params.get("code"))) in MESSAGES:
            raise FlexError(code)
    if request.method != "GET" or request.GET.get("v") != "3" or not request.GET.get("q"):
        raise FlexError("1020")
    presented = request.GET.get("t", "")
    if not presented.isascii() or not presented.isdigit():
        raise FlexError("1020" if not presented else "1015")
    if not IBKR.pacing.allows_flex(presented, WORLD.clock.now()):
        raise FlexError("1018")
    return _usable(IBKR.flex.find(presented))


def _usable(token: FlexToken | None) -> FlexToken:
    if token is None:
        raise FlexError("1015")
    if WORLD.clock.now() >= token.expires_at:
        raise FlexError("1012")
    if IBKR.switches.flex_restricted:
        raise FlexError("1013")
    if not IBKR.switches.flex_active:
        raise FlexError("1011")
    return token


def _query(request: HttpRequest) -> Query:
    query = QUERIES.get(request.GET["q"])
    if query is None:
        raise FlexError("1014")
    if query.legacy:
        raise FlexError("1010")
    if query.closed_account:
        raise FlexError("1016")
    return query


def _person(token: FlexToken) -> Person:
    person = WORLD.people.get(token.login)
    if person is None or not person.at(IBKR.name):
        raise FlexError("1016")
    return person


def _window(request: HttpRequest, person: Person) -> tuple[date | None, date | None, str]:
    """First and last day, both included, and the period's name. None twice: the query's own period."""
    first_text, last_text, days = (request.GET.get(name) for name in ("fd", "td", "p"))
    yesterday = WORLD.clock.today() - ONE_DAY
    if days is not None:
        if first_text or last_text or not days.isdigit() or not 1 <= int(days) <= LONGEST_SPAN.days:
            raise FlexError("1020")
        return yesterday - timedelta(days=int(days) - 1), yesterday, "LastNCalendarDays"
    if first_text is None and last_text is None:
        return None, None, "Last365CalendarDays"
    first, last = _day(first_text), _day(last_text)
    if last < first or last - first > LONGEST_SPAN:
        raise FlexError("1020")
    if last > yesterday or last < opened_on(person):
        raise FlexError("1003")
    return first, last, ""


def _day(text: str | None) -> date:
    try:
        return datetime.strptime(text or "", "%Y%m%d").replace(tzinfo=NEW_YORK).date()
    except ValueError as problem:
        raise FlexError("1020") from problem


def _statement_url(request: HttpRequest) -> str:
    """Where to fetch it: the real address on the broker's host, else beside the one that was called."""
    if BY_HOST.get(request.META.get("HTTP_HOST", "").split(":")[0].lower()):
        return REAL_URL
    return request.build_absolute_uri(request.path.replace("SendRequest", "GetStatement"))


def _refusal(code: str) -> HttpResponse:
    status = "Warn" if code in WARNINGS else "Fail"
    return _control(Status=status, ErrorCode=code, ErrorMessage=MESSAGES[code])


def _control(**children: str) -> HttpResponse:
    now = WORLD.clock.now().astimezone(NEW_YORK)
    root = ET.Element("FlexStatementResponse", timestamp=f"{now:%d %B, %Y %I:%M %p} {now.tzname()}")
    for name, value in children.items():
        ET.SubElement(root, name).text = value
    return HttpResponse(ET.tostring(root, encoding="utf-8"), content_type=XML)
