"""Interactive Brokers' routes, below whatever prefix they are put: Web API, consent page, Flex Web Service."""

from django.urls import re_path

from connections.sandbox.ibkr import analyst, flex, oauth, portfolio, sessions

API = r"^v1/api"
ACCOUNT = rf"{API}/portfolio/(?P<number>[A-Z]{{1,2}}\d+)"
FLEX = r"^AccountManagement/FlexWebService"

urlpatterns = [
    re_path(r"^authorize/?$", oauth.authorize),
    re_path(rf"{API}/oauth/request_token/?$", oauth.request_token),
    re_path(rf"{API}/oauth/access_token/?$", oauth.access_token),
    re_path(rf"{API}/oauth/live_session_token/?$", oauth.live_session_token),
    re_path(rf"{API}/iserver/auth/ssodh/init/?$", sessions.init),
    re_path(rf"{API}/iserver/auth/status/?$", sessions.auth_status),
    re_path(rf"{API}/iserver/reauthenticate/?$", sessions.reauthenticate),
    re_path(rf"{API}/iserver/accounts/?$", sessions.iserver_accounts),
    re_path(rf"{API}/iserver/account/trades/?$", sessions.trades),
    re_path(rf"{API}/tickle/?$", sessions.tickle),
    re_path(rf"{API}/logout/?$", sessions.logout),
    re_path(rf"{API}/sso/validate/?$", sessions.validate),
    re_path(rf"{API}/portfolio/accounts/?$", portfolio.accounts),
    re_path(rf"{API}/portfolio/subaccounts/?$", portfolio.subaccounts),
    re_path(rf"{API}/portfolio/subaccounts2/?$", portfolio.subaccounts_paged),
    re_path(rf"{API}/portfolio/positions/(?P<contract>\d+)/?$", portfolio.position_everywhere),
    re_path(rf"{ACCOUNT}/meta/?$", portfolio.meta),
    re_path(rf"{ACCOUNT}/positions/invalidate/?$", portfolio.invalidate),
    re_path(rf"{ACCOUNT}/positions/(?P<page>\d+)/?$", portfolio.positions),
    re_path(rf"{ACCOUNT}/position/(?P<contract>\d+)/?$", portfolio.position),
    re_path(rf"{ACCOUNT}/ledger/?$", portfolio.ledger),
    re_path(rf"{ACCOUNT}/summary/?$", portfolio.summary),
    re_path(rf"{API}/portfolio2/(?P<number>[A-Z]{{1,2}}\d+)/positions/?$", portfolio.positions_now),
    re_path(rf"{API}/trsrv/secdef/?$", portfolio.secdef),
    re_path(rf"{API}/pa/performance/?$", analyst.performance),
    re_path(rf"{API}/pa/transactions/?$", analyst.transactions),
    re_path(rf"{API}(?P<path>/.*)?$", portfolio.unknown_route),
    re_path(rf"{FLEX}/SendRequest/?$", flex.send_request),
    re_path(rf"{FLEX}/GetStatement/?$", flex.get_statement),
    re_path(r"^Universal/servlet/FlexStatementService\.\w+$", flex.retired),
]
