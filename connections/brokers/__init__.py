"""The registry: every broker the hub can speak to, and how a person gets connected there."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from brokerhub.kernel.errors import NotAllowed
from connections.brokers import (
    alpaca,
    ibkr_flex,
    ibkr_oauth,
    ibkr_registration,
    ibkr_web,
    robinhood,
    robinhood_crypto,
    robinhood_login,
    robinhood_oauth,
    robinhood_private,
    schwab,
)
from connections.brokers.base import AppKeys, Connector, Grants, KeyField, SignIn
from connections.brokers.records import AuthMethod, Broker
from connections.brokers.transport import BrokerSession, Wire


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ComesBackWith:
    """Two parameters of the way back from a broker's page: what names the sign-in, and what says that it succeeded."""

    name: str
    proof: str


OAUTH_2, OAUTH_1 = ComesBackWith("state", "code"), ComesBackWith("oauth_token", "oauth_verifier")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEntry:
    """One way to connect to one broker, with what a person should know before and after.

    With `fields` the person types keys in; then `sign_in().complete` gets them as its answer and nothing is begun.
    """

    broker: Broker
    method: AuthMethod
    sign_in: Callable[[AppKeys], SignIn]
    connector: Callable[[UUID | None, Grants, AppKeys], Connector]
    delivers: str
    before: str
    after_disconnect: str
    fields: tuple[KeyField, ...] = ()
    steps: tuple[str, ...] = ()  # how to come by the keys, one sentence each
    warnings: tuple[str, ...] = ()  # shown before, to be taken seriously
    is_offered: Callable[[], bool] = _always  # whether this hub offers it to people
    comes_back_with: ComesBackWith = OAUTH_2
    accounts_chosen_there: bool = False  # the person ticks accounts on the broker's page: what comes back is wanted
    ids_per_app: bool = False  # the broker's ids of login and accounts differ from one app registration to another
    renews: bool = True  # access is renewed without the person; otherwise it is good until they or the broker end it
    key_is_account: bool = False  # the key of a login is the lowest of the account numbers it shares
    history_by: AuthMethod | None = None  # the way of the same broker that tells transactions, where this one does not
    app_fields: tuple[KeyField, ...] = ()  # the hub's registration at the broker; the first is public
    app_from_settings: Callable[[], dict[str, str]] = dict
    app_missing: str = ""  # a sentence that names the settings
    check_app: Callable[[dict[str, str]], dict[str, str]] = dict


class NotConfigured(NotAllowed):
    """The hub has no app key for this broker yet; only an administrator can mend it."""

    code = "broker_not_configured"


def _schwab_connector(connection_id: UUID | None, grants: Grants, app: AppKeys) -> Connector:
    wire = schwab.wire(app["app_key"], connection_id)
    return schwab.Schwab(BrokerSession(wire=wire, base_url=schwab.base_url(), grants=grants))


def _schwab_settings() -> dict[str, str]:
    return {
        "app_key": settings.SCHWAB_APP_KEY,
        "app_secret": settings.SCHWAB_APP_SECRET,
        "callback_url": settings.SCHWAB_CALLBACK_URL,
    }


def _flex_connector(connection_id: UUID | None, grants: Grants, app: AppKeys) -> Connector:
    return ibkr_flex.IbkrFlex(Wire(broker=Broker.IBKR, connection_id=connection_id), grants)


def _ibkr_connector(connection_id: UUID | None, grants: Grants, app: AppKeys) -> Connector:
    return ibkr_web.IbkrWeb(ibkr_web.session(connection_id, grants))


def _robinhood_connector(connection_id: UUID | None, grants: Grants, app: AppKeys) -> Connector:
    return robinhood.Robinhood(robinhood.session(connection_id, grants))


def _crypto_connector(connection_id: UUID | None, grants: Grants, app: AppKeys) -> Connector:
    return robinhood_crypto.RobinhoodCrypto(robinhood_crypto.session(connection_id, grants))


def _alpaca_connector(connection_id: UUID | None, grants: Grants, app: AppKeys) -> Connector:
    wire, url = alpaca.wire(connection_id), alpaca.base_url()
    return alpaca.Alpaca(BrokerSession(wire=wire, base_url=url, grants=grants, judge=alpaca.judge_data))


def _alpaca_settings() -> dict[str, str]:
    return {
        "client_id": settings.ALPACA_CLIENT_ID,
        "client_secret": settings.ALPACA_CLIENT_SECRET,
        "callback_url": settings.ALPACA_CALLBACK_URL,
    }


BROKERS: dict[AuthMethod, BrokerEntry] = {
    AuthMethod.SCHWAB_OAUTH: BrokerEntry(
        broker=Broker.SCHWAB,
        method=AuthMethod.SCHWAB_OAUTH,
        sign_in=lambda app: schwab.SchwabSignIn(app["app_key"], app["app_secret"], app["callback_url"]),
        connector=_schwab_connector,
        delivers="Positions, balances and about six years of transactions, read-only.",
        before="You sign in on Charles Schwab's own page and choose the accounts to share. Your password stays there. "
        "Schwab asks for this sign-in again every seven days.",
        after_disconnect="The hub has deleted its keys. Charles Schwab offers no way to hand them back, so also remove "
        "the app under your security settings on schwab.com.",
        accounts_chosen_there=True,
        ids_per_app=True,
        app_fields=schwab.APP_FIELDS,
        app_from_settings=_schwab_settings,
        app_missing="SCHWAB_APP_KEY and SCHWAB_APP_SECRET are missing.",
        check_app=schwab.check_app,
    ),
    AuthMethod.IBKR_OAUTH: BrokerEntry(
        broker=Broker.IBKR,
        method=AuthMethod.IBKR_OAUTH,
        sign_in=ibkr_oauth.ThirdPartySignIn,
        connector=_ibkr_connector,
        comes_back_with=OAUTH_1,
        delivers="Positions as they are now and cash in every currency, of all your accounts, read-only. Transactions "
        "come by a Flex query, which you can add afterwards.",
        before="You sign in on Interactive Brokers' own page and agree there. Your password stays there. Interactive "
        "Brokers knows no permission that only reads; the hub calls the portfolio's routes and no others, and does "
        "not disturb your trading session.",
        after_disconnect="The hub has deleted its keys. Interactive Brokers offers no way to hand them back, so also "
        "end the hub's access in the settings of your Client Portal.",
        accounts_chosen_there=True,
        key_is_account=True,
        history_by=AuthMethod.IBKR_FLEX,
        app_fields=ibkr_registration.APP_FIELDS,
        app_from_settings=ibkr_registration.app_from_settings,
        app_missing=ibkr_registration.APP_MISSING,
        check_app=ibkr_registration.check_app,
    ),
    AuthMethod.IBKR_KEYS: BrokerEntry(
        broker=Broker.IBKR,
        method=AuthMethod.IBKR_KEYS,
        sign_in=lambda app: ibkr_oauth.KeysSignIn(),
        connector=_ibkr_connector,
        delivers="Positions as they are now and cash in every currency, of all your accounts, read-only. Transactions "
        "come by a Flex query, which you can add afterwards.",
        before="You make API keys of your own and register them at Interactive Brokers. They open everything your "
        "login may do through its Web API; the hub calls the portfolio's routes and no others, and does not disturb "
        "your trading session.",
        after_disconnect="The hub has deleted its keys. Also revoke the access token on Interactive Brokers' page for "
        "API keys, which ends it everywhere.",
        key_is_account=True,
        fields=ibkr_registration.FIELDS,
        steps=ibkr_registration.STEPS,
        history_by=AuthMethod.IBKR_FLEX,
    ),
    AuthMethod.IBKR_FLEX: BrokerEntry(
        broker=Broker.IBKR,
        method=AuthMethod.IBKR_FLEX,
        renews=False,
        sign_in=lambda app: ibkr_flex.FlexKeys(),
        connector=_flex_connector,
        delivers="Positions, cash in every currency and about five years of transactions, read-only, as of the evening "
        "before.",
        before="You set up a report (a Flex query) at Interactive Brokers once and copy two numbers from there. They "
        "open nothing but that report.",
        after_disconnect="The hub has deleted its keys. Switch off the Flex Web Service at Interactive Brokers, which "
        "ends the token.",
        key_is_account=True,
        fields=ibkr_flex.FIELDS,
        steps=ibkr_flex.STEPS,
    ),
    AuthMethod.ROBINHOOD_OAUTH: BrokerEntry(
        broker=Broker.ROBINHOOD,
        method=AuthMethod.ROBINHOOD_OAUTH,
        sign_in=lambda app: robinhood_oauth.RobinhoodSignIn(settings.ROBINHOOD_CALLBACK_URL),
        connector=_robinhood_connector,
        delivers="Positions, balances and the orders of shares, options and coins, read-only. Robinhood does not tell "
        "dividends, transfers, interest, splits and what became of options at their end this way.",
        before="You sign in on Robinhood's own page, on a computer, and approve it in Robinhood's app. Robinhood knows "
        "one permission only, and it is broad: all of your accounts are shared, and trading in its Agentic account is "
        "part of it. The hub only ever reads. Robinhood is opening this way step by step: where its page does not "
        "lead you back, your login does not have it yet. It offers it for personal use.",
        after_disconnect="The hub has deleted its keys. Also end its access on the page of the Agentic account at "
        "Robinhood; that ends the access of every app you have connected there.",
    ),
    AuthMethod.ROBINHOOD_CRYPTO: BrokerEntry(
        broker=Broker.ROBINHOOD,
        method=AuthMethod.ROBINHOOD_CRYPTO,
        renews=False,
        sign_in=lambda app: robinhood_crypto.CryptoKeys(),
        connector=_crypto_connector,
        delivers=robinhood_crypto.DELIVERS,
        before=robinhood_crypto.BEFORE,
        after_disconnect=robinhood_crypto.AFTER_DISCONNECT,
        fields=robinhood_crypto.FIELDS,
        steps=robinhood_crypto.STEPS,
    ),
    AuthMethod.ROBINHOOD_LOGIN: BrokerEntry(
        broker=Broker.ROBINHOOD,
        method=AuthMethod.ROBINHOOD_LOGIN,
        sign_in=lambda app: robinhood_login.RobinhoodLogin(),
        connector=lambda connection_id, grants, app: robinhood_private.connector(connection_id, grants),
        delivers=robinhood_private.DELIVERS,
        before=robinhood_private.BEFORE,
        warnings=robinhood_private.WARNINGS,
        after_disconnect=robinhood_private.AFTER_DISCONNECT,
        fields=robinhood_login.FIELDS,
        is_offered=lambda: settings.ROBINHOOD_PRIVATE_LOGIN,
    ),
    AuthMethod.ALPACA_OAUTH: BrokerEntry(
        broker=Broker.ALPACA,
        method=AuthMethod.ALPACA_OAUTH,
        renews=False,
        sign_in=lambda app: alpaca.AlpacaSignIn(app["client_id"], app["client_secret"], app["callback_url"]),
        connector=_alpaca_connector,
        delivers="Positions, balances and the whole history of one live account, read-only: executions, dividends, "
        "fees, transfers, splits and what became of options.",
        before="You sign in on Alpaca's own page and allow the hub to read. It asks for no right to trade. The access "
        "has no end until you take it back. Paper accounts are left out.",
        after_disconnect="The hub has deleted its keys. Alpaca offers no way to hand them back, so also remove the app "
        "among the connected apps of your Alpaca dashboard.",
        app_fields=alpaca.APP_FIELDS,
        app_from_settings=_alpaca_settings,
        app_missing="ALPACA_CLIENT_ID and ALPACA_CLIENT_SECRET are missing.",
    ),
}


def offered() -> list[BrokerEntry]:
    """The ways to connect that this hub offers, in the order people see them."""
    return [entry for entry in BROKERS.values() if entry.is_offered()]
