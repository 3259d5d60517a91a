"""Robinhood's routes, a list for each of its hosts. A slash at the end changes nothing."""

from django.urls import include, re_path

from connections.sandbox.robinhood import (
    bars,
    cash,
    coins,
    holdings,
    key_page,
    listing,
    login,
    mcp,
    oauth,
    orders,
    signed,
    unknown,
)

ID = r"[0-9a-f-]{36}"
ACCOUNT = r"(?P<account_number>\d+)"
UNKNOWN = re_path(r"^(?P<path>.*)$", unknown.route)

api = [
    re_path(r"^oauth2/token/?$", oauth.token),
    re_path(r"^oauth2/revoke_token/?$", oauth.revoke),
    re_path(r"^pathfinder/user_machine/?$", login.user_machine),
    re_path(rf"^pathfinder/inquiries/(?P<machine>{ID})/user_view/?$", login.user_view),
    re_path(rf"^push/(?P<challenge_id>{ID})/get_prompts_status/?$", login.prompt_status),
    re_path(rf"^challenge/(?P<challenge_id>{ID})/respond/?$", login.respond),
    re_path(r"^user/?$", holdings.user),
    re_path(r"^accounts/?$", holdings.accounts),
    re_path(rf"^accounts/{ACCOUNT}/?$", holdings.account_detail),
    re_path(r"^accounts/sweeps/?$", cash.sweeps),
    re_path(r"^accounts/stock_loan_payments/?$", cash.stock_loans),
    re_path(r"^portfolios/?$", holdings.portfolios),
    re_path(rf"^portfolios/{ACCOUNT}/?$", holdings.portfolio),
    re_path(r"^positions/?$", holdings.positions),
    re_path(r"^orders/?$", orders.orders),
    re_path(rf"^orders/(?P<wanted>{ID})/?$", orders.order_detail),
    re_path(r"^options/positions/?$", holdings.option_positions),
    re_path(r"^options/aggregate_positions/?$", holdings.aggregate_positions),
    re_path(r"^options/orders/?$", orders.option_orders),
    re_path(r"^options/events/?$", orders.option_events),
    re_path(r"^options/corp_actions/?$", cash.nothing),
    re_path(r"^options/instruments/?$", listing.option_instruments),
    re_path(rf"^options/instruments/(?P<instrument_id>{ID})/?$", listing.option_instrument),
    re_path(r"^dividends/?$", cash.dividends),
    re_path(r"^ach/transfers/?$", cash.ach_transfers),
    re_path(r"^ach/received/transfers/?$", cash.received_transfers),
    re_path(r"^ach/relationships/?$", cash.relationships),
    re_path(r"^wire/transfers/?$", cash.wires),
    re_path(r"^cash_journal/margin_interest_charges/?$", cash.margin_interest),
    re_path(r"^subscription/subscription_fees/?$", cash.gold_fees),
    re_path(r"^corp_actions/v2/split_payments/?$", cash.split_payments),
    re_path(r"^corp_actions/adr_fees/?$", cash.adr_fees),
    re_path(r"^instruments/?$", listing.instruments),
    re_path(rf"^instruments/(?P<instrument_id>{ID})/?$", listing.instrument),
    re_path(r"^fundamentals/?$", listing.fundamentals),
    re_path(r"^(?:quotes|marketdata)/historicals/?$", bars.historicals),
    re_path(r"^quotes/?$", listing.quotes),
    re_path(r"^quotes/(?P<symbol>[A-Za-z.]+)/?$", listing.single_quote),
    re_path(r"^marketdata/options/?$", listing.option_quotes),
    re_path(r"^marketdata/forex/quotes/(?P<pair>[0-9A-Za-z-]+)/?$", listing.coin_quote),
    re_path(r"^markets/XNYS/hours/(?P<on>[0-9-]+)/?$", listing.hours),
    UNKNOWN,
]
bonfire = [
    re_path(r"^transfer/accounts/?$", holdings.transfer_accounts),
    re_path(r"^(?:phoenix/)?accounts/unified/?$", holdings.unified),
    re_path(rf"^portfolio/account/{ACCOUNT}/live/?$", holdings.live),
    re_path(r"^paymenthub/unified_transfers/?$", cash.unified_transfers),
    re_path(r"^acats/?$", cash.acats),
    re_path(r"^gold/deposit_boost_paid_payouts/?$", cash.nothing),
    re_path(r"^crypto/transfers/history/?$", cash.nothing),
    UNKNOWN,
]
phoenix = [re_path(r"^accounts/unified/?$", holdings.unified), UNKNOWN]
minerva = [re_path(r"^history/transactions/?$", cash.nothing), UNKNOWN]
nummus = [
    re_path(r"^accounts/?$", coins.accounts),
    re_path(r"^portfolios/?$", coins.portfolios),
    re_path(r"^currency_pairs/?$", coins.currency_pairs),
    re_path(r"^holdings/?$", coins.holdings),
    re_path(r"^orders/?$", coins.orders),
    UNKNOWN,
]
www = [
    re_path(r"^oauth/?$", oauth.authorize),
    re_path(r"^account/crypto/?$", key_page.crypto_keys),
    UNKNOWN,
]
agent = [
    re_path(r"^\.well-known/oauth-protected-resource(?:/mcp/trading)?$", oauth.protected_resource),
    re_path(r"^\.well-known/oauth-authorization-server(?:/mcp/trading)?$", oauth.authorization_server),
    re_path(r"^mcp/trading/?$", mcp.trading),
    re_path(r"^oauth/trading/register/?$", oauth.register),
    UNKNOWN,
]
V = r"^api/v(?P<version>[12])/crypto"
trading = [
    re_path(r"^api/v1/crypto/trading/accounts/$", signed.accounts_v1),
    re_path(r"^api/v2/crypto/trading/accounts/$", signed.accounts_v2),
    re_path(rf"{V}/trading/trading_pairs/$", signed.trading_pairs),
    re_path(rf"{V}/trading/holdings/$", signed.holdings),
    re_path(rf"{V}/trading/orders/$", signed.orders),
    re_path(rf"{V}/trading/orders/(?P<wanted>{ID})/cancel/$", signed.cancel),
    re_path(rf"{V}/marketdata/best_bid_ask/$", signed.best_bid_ask),
    re_path(r"^api/v(?P<version>1)/crypto/marketdata/estimated_price/$", signed.estimated_price),
    re_path(r"^api/v(?P<version>2)/crypto/trading/estimated_price/$", signed.estimated_price),
    re_path(r"^(?P<path>.*)$", signed.unknown),
]
urlpatterns = [
    re_path(r"^trading/", include(trading)),
    re_path(r"^api/", include(api)),
    re_path(r"^bonfire/", include(bonfire)),
    re_path(r"^phoenix/", include(phoenix)),
    re_path(r"^minerva/", include(minerva)),
    re_path(r"^nummus/", include(nummus)),
    re_path(r"^www/", include(www)),
    re_path(r"^agent/", include(agent)),
]
