"""Brokers by their own host names: a client whose transport is turned to the sandbox still says whom it means."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

BY_HOST = {  # host name -> the prefix below which the sandbox has it
    "api.schwabapi.com": "/schwab",
    "robinhood.com": "/robinhood/www",
    "api.robinhood.com": "/robinhood/api",
    "bonfire.robinhood.com": "/robinhood/bonfire",
    "nummus.robinhood.com": "/robinhood/nummus",
    "phoenix.robinhood.com": "/robinhood/phoenix",
    "minerva.robinhood.com": "/robinhood/minerva",
    "trading.robinhood.com": "/robinhood/trading",
    "agent.robinhood.com": "/robinhood/agent",
    "app.alpaca.markets": "/alpaca",
    "api.alpaca.markets": "/alpaca",
    "www.ecb.europa.eu": "/ecb",
    **dict.fromkeys(
        (
            "api.ibkr.com",
            *(f"{number}.api.ibkr.com" for number in range(1, 8)),
            "www.interactivebrokers.com",
            "ndcdyn.interactivebrokers.com",
            "gdcdyn.interactivebrokers.com",
        ),
        "/ibkr",
    ),
}


def by_host(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: put a broker's prefix in front of what is asked of its host. `request.path` stays as it came."""

    def middleware(request: HttpRequest) -> HttpResponse:
        host = request.META.get("HTTP_HOST", "").split(":")[0].lower()
        prefix = BY_HOST.get(host)
        if prefix and not request.path_info.startswith(f"{prefix}/"):  # some name the host below the prefix too
            request.path_info = f"{prefix}{request.path_info}"
        return get_response(request)

    return middleware
