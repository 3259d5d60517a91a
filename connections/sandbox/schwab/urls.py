"""Schwab's routes, below whatever prefix they are put. A slash at the end changes nothing."""

from django.urls import re_path

from connections.sandbox.schwab import market_data, oauth, price_history, trader

ACCOUNT = r"^trader/v1/accounts/(?P<hash_value>[^/]+)"

urlpatterns = [
    re_path(r"^v1/oauth/authorize/?$", oauth.authorize),
    re_path(r"^v1/oauth/token/?$", oauth.token),
    re_path(r"^trader/v1/accounts/?$", trader.accounts),
    re_path(r"^trader/v1/accounts/accountNumbers/?$", trader.account_numbers),
    re_path(rf"{ACCOUNT}/?$", trader.account_detail),
    re_path(rf"{ACCOUNT}/transactions/?$", trader.transactions),
    re_path(rf"{ACCOUNT}/transactions/(?P<activity_id>\d+)/?$", trader.transaction_detail),
    re_path(r"^trader/v1/userPreference/?$", trader.user_preference),
    re_path(r"^marketdata/v1/quotes/?$", market_data.quotes),
    re_path(r"^marketdata/v1/(?P<symbol>[^/]+)/quotes/?$", market_data.single_quote),
    re_path(r"^marketdata/v1/pricehistory/?$", price_history.price_history),
    re_path(r"^marketdata/v1/markets/?$", market_data.markets),
    re_path(r"^marketdata/v1/markets/(?P<market>[^/]+)/?$", market_data.single_market),
    re_path(r"^(?P<path>(v1|trader|marketdata)(/.*)?)$", trader.unknown_route),
]
