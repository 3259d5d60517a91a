"""In which currency a person sees totals: the one of the address (?currency=EUR), or else the one of their settings."""

from django.db.models import Max
from django.http import HttpRequest

from aggregation.rates.exchange import EURO
from aggregation.rates.models import RatePublisher, ReferenceRate
from aggregation.rates.names import titled
from brokerhub.kernel.models import User


def offered() -> list[str]:
    """Currencies there are rates for, by their codes. One query; before any rate was read, the euro and the dollar."""
    newest = ReferenceRate.objects.filter(publisher=RatePublisher.ECB).aggregate(on=Max("on")).values()
    rates = ReferenceRate.objects.filter(publisher=RatePublisher.ECB, on__in=newest)
    return sorted({EURO, "USD", *rates.values_list("currency", flat=True)})


def choices(user: User) -> list[tuple[str, str]]:
    """For a list to choose from: what is offered, and what the person has now even if it is not offered any more."""
    return [(currency, titled(currency)) for currency in sorted({*offered(), user.currency})]


def chosen(request: HttpRequest) -> str:
    """What the address asks for when it is offered, else the person's own. A query only when the address asks."""
    user = request.user
    assert isinstance(user, User)
    asked = request.GET.get("currency", "").strip().upper()
    return asked if asked and asked != user.currency and asked in offered() else user.currency
