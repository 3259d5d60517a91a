"""The portfolio routes: accounts, positions, ledger, summary. Everything follows from the book."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from connections.sandbox.book import ZERO, Account
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.ibkr.authority import Grant
from connections.sandbox.ibkr.contracts import RIGHTS, conid, definition, listed_as, sec_type
from connections.sandbox.ibkr.doors import session
from connections.sandbox.ibkr.side import IBKR, error
from connections.sandbox.market import CENT
from connections.sandbox.valuation import Valued, valued, worth
from connections.sandbox.world import WORLD

MOST_CONIDS = 200
SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "position": lambda row: row["position"],
    "mktValue": lambda row: row["mktValue"],
    "contractDesc": lambda row: row["contractDesc"],
}


def granted_accounts(grant: Grant) -> list[Account]:
    found = [WORLD.people.account(number) for number in sorted(grant.accounts)]
    return [account for account in found if account is not None]


def the_account(grant: Grant, number: str) -> Account:
    """Raises Refusal before the list of accounts was asked for, and for an account that was not ticked."""
    if not grant.asked_for_accounts:
        raise Refusal(401, error(401))
    for account in granted_accounts(grant):
        if account.number == number:
            return account
    raise Refusal(400, error(400, f"Bad Request: accountId is not valid: {number}"))


@operation(IBKR, "accounts")
def accounts(request: HttpRequest, exchange: Exchange) -> Any:
    return _listed(session(request, exchange))


@operation(IBKR, "subaccounts")
def subaccounts(request: HttpRequest, exchange: Exchange) -> Any:
    """The same list: neither account is an adviser's."""
    return _listed(session(request, exchange))


@operation(IBKR, "subaccounts")
def subaccounts_paged(request: HttpRequest, exchange: Exchange) -> Any:
    """Twenty to a page, in an envelope as the prose promises it."""
    rows, page = _listed(session(request, exchange)), int(_digits(request.GET.get("page", "0")))
    metadata = {"total": len(rows), "pageSize": 20, "pageNum": page}
    return {"metadata": metadata, "subaccounts": rows[page * 20 : page * 20 + 20]}


def _listed(grant: Grant) -> list[dict[str, Any]]:
    grant.asked_for_accounts = True
    return [_account(account) for account in granted_accounts(grant)]


@operation(IBKR, "meta")
def meta(request: HttpRequest, exchange: Exchange, number: str) -> Any:
    return _account(the_account(session(request, exchange), number))


def _account(account: Account) -> dict[str, Any]:
    opened_at = account.events[0].posted_at if account.events else WORLD.clock.now()
    return {
        "id": account.number,
        "PrepaidCrypto-Z": False,
        "PrepaidCrypto-P": False,
        "brokerageAccess": True,
        "accountId": account.number,
        "accountVan": account.number,
        "accountTitle": account.name,
        "displayName": account.name,
        "accountAlias": None,
        "accountStatus": int(opened_at.timestamp() * 1000),
        "currency": account.currency,
        "type": "INDIVIDUAL",
        "tradingType": "STKNOPT",
        "businessType": "INDEPENDENT",
        "category": "",
        "ibEntity": "IB-IE",
        "faclient": False,
        "clearingStatus": "C" if account.is_closed else "O",
        "covestor": False,
        "noClientTrading": False,
        "trackVirtualFXPortfolio": False,
        "acctCustType": "INDIVIDUAL",
        "parent": {"mmc": [], "accountId": "", "isMParent": False, "isMChild": False, "isMultiplex": False},
        "desc": account.number,
    }


# Positions


@operation(IBKR, "positions")
def positions(request: HttpRequest, exchange: Exchange, number: str, page: str) -> Any:
    """The definitions of the instruments are missing from the first answer, unless one waits for them."""
    grant = session(request, exchange)
    account, size = the_account(grant, number), IBKR.switches.page_size
    is_full = number in grant.told_in_full or request.GET.get("waitForSecDef") == "true"
    grant.told_in_full.add(number)
    rows = [_position(account, held, in_full=is_full) for held in _held(account)]
    if sort := SORTS.get(request.GET.get("sort", "")):
        rows.sort(key=sort, reverse=request.GET.get("direction") == "d")
    return rows[int(page) * size : (int(page) + 1) * size]


@operation(IBKR, "invalidate")
def invalidate(request: HttpRequest, exchange: Exchange, number: str) -> Any:
    grant = session(request, exchange, "POST")
    grant.told_in_full.discard(the_account(grant, number).number)
    return {"message": "success"}


@operation(IBKR, "positions_now")
def positions_now(request: HttpRequest, exchange: Exchange, number: str) -> Any:
    """The newer route: no pages, other names."""
    account = the_account(session(request, exchange), number)
    return [_position_now(held) for held in _held(account)]


@operation(IBKR, "position")
def position(request: HttpRequest, exchange: Exchange, number: str, contract: str) -> Any:
    account = the_account(session(request, exchange), number)
    return [_position(account, held) for held in _held(account) if str(conid(held.instrument.symbol)) == contract]


@operation(IBKR, "position")
def position_everywhere(request: HttpRequest, exchange: Exchange, contract: str) -> Any:
    """By account; one that does not hold it is left out."""
    grant = session(request, exchange)
    found = {
        account.number: [
            _position(account, held) for held in _held(account) if str(conid(held.instrument.symbol)) == contract
        ]
        for account in granted_accounts(grant)
    }
    return {number: rows for number, rows in found.items() if rows}


def _held(account: Account) -> list[Valued]:
    return valued(account, WORLD.market, WORLD.clock.today())


def _position(account: Account, held: Valued, *, in_full: bool = True) -> dict[str, Any]:
    """A strike is text where there is one and a number where there is none."""
    instrument, terms = held.instrument, held.instrument.option
    row: dict[str, Any] = {
        "acctId": account.number,
        "conid": conid(instrument.symbol),
        "contractDesc": listed_as(instrument),
        "position": held.quantity,
        "mktPrice": held.price,
        "mktValue": held.value,
        "currency": instrument.currency,
        "avgCost": _rounded(held.holding.average_cost * instrument.multiplier),
        "avgPrice": _rounded(held.holding.average_cost),
        "realizedPnl": ZERO,
        "unrealizedPnl": _gain(held),
        "exchs": None,
        "expiry": f"{terms.expires_on:%Y%m%d}" if terms else None,
        "putOrCall": RIGHTS[terms.right] if terms else None,
        "multiplier": instrument.multiplier if terms else None,
        "strike": f"{terms.strike.normalize():f}" if terms else 0.0,
        "exerciseStyle": None,
        "conExchMap": [],
        "assetClass": sec_type(instrument),
        "undConid": conid(terms.underlying) if terms else 0,
        "model": "",
    }
    if in_full:
        row |= {
            "time": int(WORLD.clock.now().timestamp() * 1000),
            **definition(instrument),
            "pageSize": IBKR.switches.page_size,
        }
    return row


def _position_now(held: Valued) -> dict[str, Any]:
    known = definition(held.instrument)
    return {
        "position": held.quantity,
        "conid": str(conid(held.instrument.symbol)),
        "avgCost": _rounded(held.holding.average_cost * held.instrument.multiplier),
        "avgPrice": _rounded(held.holding.average_cost),
        "currency": held.instrument.currency,
        "description": listed_as(held.instrument),
        "isLastToLoq": False,
        "marketPrice": held.price,
        "marketValue": held.value,
        "realizedPnl": ZERO,
        "secType": sec_type(held.instrument),
        "timestamp": int(WORLD.clock.now().timestamp()),
        "unrealizedPnl": _gain(held),
        "assetClass": sec_type(held.instrument),
        "sector": known["sector"],
        "group": known["group"],
        "model": "",
    }


def _gain(held: Valued) -> Decimal:
    return held.value - (held.quantity * held.holding.average_cost * held.instrument.multiplier).quantize(CENT)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.0000001"))


# Ledger and summary


@operation(IBKR, "ledger")
def ledger(request: HttpRequest, exchange: Exchange, number: str) -> Any:
    """One entry per currency that ever moved, and BASE."""
    account = the_account(session(request, exchange), number)
    today, parts = WORLD.clock.today(), _parts(account)
    rates = {currency: WORLD.market.rate(currency, account.currency, today) for currency in parts}
    entries = {currency: _entry(account, currency, rates[currency], amounts) for currency, amounts in parts.items()}
    in_base = {
        name: sum(((amounts[name] * rates[currency]).quantize(CENT) for currency, amounts in parts.items()), ZERO)
        for name in ("cash", "stocks", "options", "gain")
    }
    total = {"netliquidationvalue": worth(account, _held(account), WORLD.market, today)}
    return entries | {"BASE": _entry(account, "BASE", Decimal(1), in_base) | total}


def _parts(account: Account) -> dict[str, dict[str, Decimal]]:
    """Per currency: cash, the value of shares and of options, and the gain that is still open."""
    parts: defaultdict[str, dict[str, Decimal]] = defaultdict(
        lambda: dict.fromkeys(("stocks", "options", "gain"), ZERO)
    )
    for currency, cash in account.balances.items():
        parts[currency]["cash"] = cash
    for held in _held(account):
        amounts = parts[held.instrument.currency]
        amounts["options" if held.instrument.option else "stocks"] += held.value
        amounts["gain"] += _gain(held)
    return {currency: {"cash": ZERO, **amounts} for currency, amounts in sorted(parts.items())}


def _entry(account: Account, currency: str, rate: Decimal, amounts: dict[str, Decimal]) -> dict[str, Any]:
    nothing = dict.fromkeys(
        (
            "futuremarketvalue", "futureoptionmarketvalue", "corporatebondsmarketvalue", "tbondsmarketvalue",
            "tbillsmarketvalue", "warrantsmarketvalue", "issueroptionsmarketvalue", "commoditymarketvalue", "funds",
            "moneyfunds", "cryptocurrencyvalue", "interest", "dividends", "realizedpnl", "futuresonlypnl",
            "cashbalancefxsegment",
        ),
        ZERO,
    )  # fmt: skip
    return nothing | {
        "currency": currency,
        "secondkey": currency,
        "acctcode": account.number,
        "cashbalance": amounts["cash"],
        "settledcash": amounts["cash"],
        "exchangerate": rate,
        "netliquidationvalue": amounts["cash"] + amounts["stocks"] + amounts["options"],
        "stockmarketvalue": amounts["stocks"],
        "stockoptionmarketvalue": amounts["options"],
        "unrealizedpnl": amounts["gain"],
        "key": "LedgerList",
        "timestamp": int(WORLD.clock.now().timestamp()),
        "sessionid": 1,
        "severity": 0,
    }


@operation(IBKR, "summary")
def summary(request: HttpRequest, exchange: Exchange, number: str) -> Any:
    account = the_account(session(request, exchange), number)
    return {key: _value(account, amount) for key, amount in _summarised(account)}


def _summarised(account: Account) -> Iterator[tuple[str, Decimal | str]]:
    """Amounts in the base currency, or texts. Margin is a quarter of what is held."""
    today = WORLD.clock.today()
    held = _held(account)
    value = worth(account, held, WORLD.market, today)
    cash = worth(account, [], WORLD.market, today)
    gross = sum(
        (abs(one.value) * WORLD.market.rate(one.instrument.currency, account.currency, today) for one in held), ZERO
    ).quantize(CENT)
    margin = (gross / 4).quantize(CENT) if account.margin else gross
    yield "accountcode", account.number
    yield "accounttype", "INDIVIDUAL"
    yield "netliquidation", value
    yield "totalcashvalue", cash
    yield "settledcash", cash
    yield "availablefunds", value - margin
    yield "buyingpower", (value - margin) * (4 if account.margin else 1)
    yield "excessliquidity", value - margin
    yield "grosspositionvalue", gross
    yield "initmarginreq", margin
    yield "maintmarginreq", margin
    yield "equitywithloanvalue", value
    yield "accruedcash", ZERO
    yield "accrueddividend", ZERO
    yield "cushion", f"{((value - margin) / value if value else ZERO):.6f}"
    yield "leverage-s", f"{(gross / value if value else ZERO):.2f}"
    yield "lookaheadnextchange", "0"
    yield "netliquidation-s", value
    yield "totalcashvalue-s", cash
    yield "netliquidation-c", ZERO
    yield "totalcashvalue-c", ZERO


def _value(account: Account, amount: Decimal | str) -> dict[str, Any]:
    is_text = isinstance(amount, str)
    return {
        "amount": ZERO if is_text else amount,
        "currency": None if is_text else account.currency,
        "isNull": False,
        "timestamp": int(WORLD.clock.now().timestamp() * 1000),
        "value": amount if is_text else None,
        "severity": 0,
    }


@operation(IBKR, "secdef")
def secdef(request: HttpRequest, exchange: Exchange) -> Any:
    """Definitions of what the person holds, by contract id; 204 in truth, here an empty list, for none."""
    grant = session(request, exchange)
    wanted = [_digits(part) for part in request.GET.get("conids", "").split(",") if part]
    if not 0 < len(wanted) <= MOST_CONIDS:
        raise Refusal(400, error(400, "Bad Request: conids"))
    held = {conid(one.instrument.symbol): one.instrument for own in granted_accounts(grant) for one in _held(own)}
    return {"secdef": [_definition(held[int(one)]) for one in wanted if int(one) in held]}


def _definition(instrument: Any) -> dict[str, Any]:
    terms = instrument.option
    return {
        "conid": conid(instrument.symbol),
        "currency": instrument.currency,
        "assetClass": sec_type(instrument),
        "expiry": f"{terms.expires_on:%Y%m%d}" if terms else None,
        "putOrCall": RIGHTS[terms.right] if terms else None,
        "strike": f"{terms.strike.normalize():f}" if terms else "0",
        "undConid": conid(terms.underlying) if terms else 0,
        "multiplier": instrument.multiplier if terms else 0.0,
        **definition(instrument),
    }


def _digits(text: str) -> str:
    if not text.isascii() or not text.isdigit():
        raise Refusal(400, error(400, f"Bad Request: {text[:20]} is not a number"))
    return text


@operation(IBKR, "unknown_route")
def unknown_route(request: HttpRequest, exchange: Exchange, path: str = "") -> Any:
    """Whatever the sandbox does not have, orders above all."""
    session(request, exchange, "GET", "POST", "DELETE", "PUT")
    raise Refusal(404, error(404))
