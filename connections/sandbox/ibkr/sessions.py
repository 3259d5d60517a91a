"""The session routes: is anybody there, stay there, leave. And what of `/iserver` a reader may meet."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from connections.sandbox.book import Status
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.ibkr.authority import Grant
from connections.sandbox.ibkr.contracts import conid, exchange_of, listed_as, sec_type, ticker
from connections.sandbox.ibkr.doors import session
from connections.sandbox.ibkr.side import IBKR, error
from connections.sandbox.ibkr.trade_rows import TRADES, exec_id
from connections.sandbox.world import WORLD

MAC = "98:F2:B3:23:2E:68"
SERVER = {"serverName": "JifN19053", "serverVersion": "Build 10.25.0p, Dec 5, 2023 5:48:12 PM"}
SESSION_SECONDS = 600
TRADES_REACH = 7  # days, today among them


def status_of(grant: Grant) -> dict[str, Any]:
    """Connected as soon as there is a session; authenticated with a brokerage session only."""
    established = IBKR.authority.has_brokerage(grant)
    status: dict[str, Any] = {
        "authenticated": established,
        "competing": IBKR.switches.competing,
        "connected": True,
        "message": "",
        "MAC": MAC,
        "serverInfo": SERVER if established else {"serverName": None, "serverVersion": None},
        "hardware_info": f"sandbox|{MAC}",
        "fail": "",
    }
    return status | ({"established": True} if established else {})


@operation(IBKR, "init")
def init(request: HttpRequest, exchange: Exchange) -> Any:
    grant = session(request, exchange, "POST")
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or body.get("publish") is not True or "compete" not in body:
        raise Refusal(500, {"error": "failed to generate sso dh token"})
    if IBKR.switches.competing and body["compete"]:
        IBKR.switches.competing = False  # the other platform is thrown out
    IBKR.authority.keep_brokerage(grant)
    return status_of(grant)


@operation(IBKR, "auth_status")
def auth_status(request: HttpRequest, exchange: Exchange) -> Any:
    return status_of(session(request, exchange, "POST", "GET"))


@operation(IBKR, "tickle")
def tickle(request: HttpRequest, exchange: Exchange) -> Any:
    grant = session(request, exchange, "POST", "GET")
    if IBKR.authority.has_brokerage(grant):
        IBKR.authority.keep_brokerage(grant)
    return {
        "session": grant.session.id if grant.session else "",
        "hmds": {"error": "no bridge"},
        "iserver": {"authStatus": status_of(grant)},
    }


@operation(IBKR, "logout")
def logout(request: HttpRequest, exchange: Exchange) -> Any:
    """Clients leave twice; the second time there is nothing left to end."""
    try:
        IBKR.authority.end_session(session(request, exchange, "POST"))
    except Refusal as refusal:
        if refusal.status != 401:
            raise
    return {"status": True}


@operation(IBKR, "validate")
def validate(request: HttpRequest, exchange: Exchange) -> Any:
    grant = session(request, exchange, "GET")
    now = int(WORLD.clock.now().timestamp() * 1000)
    return {
        "USER_ID": 100_000_000 + sum(grant.login.encode()),
        "USER_NAME": grant.login,
        "RESULT": True,
        "AUTH_TIME": now,
        "SF_ENABLED": False,
        "IS_FREE_TRIAL": False,
        "CREDENTIAL": grant.login,
        "IP": "127.0.0.1",
        "EXPIRES": SESSION_SECONDS * 1000,
        "QUALIFIED_FOR_MOBILE_AUTH": None,
        "LANDING_APP": "UNIVERSAL",
        "IS_MASTER": False,
        "lastAccessed": now,
        "LOGIN_TYPE": 1,
        "PAPER_USER_NAME": f"{grant.login}paper",
        "features": {"env": "PROD", "wlms": True, "realtime": True, "bond": True, "optionChains": True},
        "region": "NJ",
    }


@operation(IBKR, "reauthenticate")
def reauthenticate(request: HttpRequest, exchange: Exchange) -> Any:
    session(request, exchange, "POST")
    return {"message": "triggered"}


def brokerage(request: HttpRequest, exchange: Exchange) -> Grant:
    """Raises Refusal without a brokerage session."""
    grant = session(request, exchange, "GET")
    if not IBKR.authority.has_brokerage(grant):
        raise Refusal(400, error(400, "Bad Request: no bridge"))
    return grant


@operation(IBKR, "iserver_accounts")
def iserver_accounts(request: HttpRequest, exchange: Exchange) -> Any:
    grant = brokerage(request, exchange)
    numbers = sorted(grant.accounts)
    grant.asked_for_accounts = True
    return {
        "accounts": numbers,
        "acctProps": {number: {"hasChildAccounts": False, "supportsCashQty": True} for number in numbers},
        "aliases": {number: number for number in numbers},
        "allowFeatures": {"showGFIS": True, "allowFXConv": True, "allowTypeAhead": True},
        "chartPeriods": {"STK": ["*"]},
        "groups": [],
        "profiles": [],
        "selectedAccount": numbers[0],
        "serverInfo": SERVER,
        "sessionId": grant.session.id if grant.session else "",
        "isFT": False,
        "isPaper": False,
    }


@operation(IBKR, "trades")
def trades(request: HttpRequest, exchange: Exchange) -> Any:
    """Executions of today and up to six days before, of the accounts that were ticked."""
    grant = brokerage(request, exchange)
    if not grant.asked_for_accounts:
        raise Refusal(400, error(400, "Bad Request: Please query /accounts first"))
    days = request.GET.get("days", "1")
    if not days.isdigit() or not 1 <= int(days) <= TRADES_REACH:
        raise Refusal(400, error(400, "Bad Request: days"))
    first = WORLD.clock.today() - timedelta(days=int(days) - 1)
    accounts = [account for number in sorted(grant.accounts) if (account := WORLD.people.account(number))]
    return [
        _execution(account.number, event)
        for account in accounts
        for event in reversed(account.events)
        if event.nature in TRADES and event.traded_on >= first and event.status is Status.POSTED
    ]


def _execution(number: str, event: Any) -> dict[str, Any]:
    instrument = WORLD.market.known(event.symbol)
    size, words = abs(event.quantity), {"B": "Bot", "S": "Sold"}
    side = "B" if event.quantity > 0 else "S"
    commission = sum((amount for name, amount in event.fees if name == "COMMISSION"), Decimal(0))
    return {
        "execution_id": exec_id(event),
        "symbol": ticker(instrument),
        "side": side,
        "order_description": f"{words[side]} {size:f} @ {event.price:f} on {exchange_of(instrument)}",
        "trade_time": f"{event.at:%Y%m%d-%H:%M:%S}",
        "trade_time_r": int(event.at.timestamp() * 1000),
        "size": size,
        "price": f"{event.price:f}",
        "submitter": number.lower(),
        "exchange": exchange_of(instrument),
        "commission": f"{commission:f}",
        "net_amount": size * event.price * instrument.multiplier,
        "account": number,
        "accountCode": number,
        "company_name": instrument.name.upper(),
        "contract_description_1": listed_as(instrument),
        "sec_type": sec_type(instrument),
        "listing_exchange": exchange_of(instrument),
        "conid": conid(event.symbol),
        "conidEx": str(conid(event.symbol)),
        "clearing_id": "IB",
        "clearing_name": "IB",
        "liquidation_trade": "0",
    }
