"""Addresses that only these tests have: small views that stand on the hub's REST frame like any other, and fail."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import ApiToken, Scope, User
from brokerhub.urls import handler400, handler403, handler404, handler500, urlpatterns
from connections.brokers.base import RateLimited

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

FAILURES = {
    "missing": lambda: Http404("a secret reason"),
    "not-allowed": lambda: NotAllowed("This connection is being removed."),
    "rate-limited": lambda: RateLimited("Schwab asks us to wait.", retry_at=timezone.now() + timedelta(seconds=30)),
    "database": lambda: OperationalError("connection to server at 10.0.0.1 failed: password=hunter2"),
    "suspicious": lambda: SuspiciousOperation("a header with a secret"),
    "bug": lambda: KeyError("a secret in a variable"),
}


class TokenRow(serializers.ModelSerializer[ApiToken]):
    class Meta:
        model = ApiToken
        fields = ("name",)


class Tokens(generics.ListCreateAPIView[ApiToken]):
    """The caller's tokens by name; many may share one."""

    serializer_class = TokenRow
    required_scopes = {"GET": Scope.PORTFOLIO_READ, "POST": Scope.SYNC_WRITE}
    ordering = ("name", "pk")

    def get_queryset(self) -> Any:
        return ApiToken.objects.filter(user=self.request.user)

    def perform_create(self, serializer: serializers.BaseSerializer[ApiToken]) -> None:
        ApiToken.objects.create(user=self.request.user, scopes=[], **serializer.validated_data)


class NewestPeople(generics.ListAPIView[User]):
    """Ordered by a time of microseconds, newest first."""

    required_scopes = {"GET": Scope.PORTFOLIO_READ}
    queryset = User.objects.all()
    ordering = ("-date_joined", "-pk")

    class serializer_class(serializers.ModelSerializer[User]):
        class Meta:
            model = User
            fields = ("email",)


class Unscoped(APIView):
    def get(self, request: Request) -> Response:
        return Response({})


class Order(serializers.Serializer[Any]):
    symbol = serializers.CharField(max_length=5)
    lots = serializers.ListField(child=serializers.IntegerField(min_value=1))


class Orders(APIView):
    required_scopes = {"POST": Scope.SYNC_WRITE}

    def post(self, request: Request) -> Response:
        Order(data=request.data).is_valid(raise_exception=True)
        return Response(status=201)


class Failing(APIView):
    required_scopes = {"GET": Scope.PORTFOLIO_READ}

    def get(self, request: Request, failure: str) -> Response:
        raise FAILURES[failure]()


def failing_page(request: HttpRequest, failure: str) -> HttpResponse:
    raise FAILURES[failure]()


def zone(request: HttpRequest) -> HttpResponse:
    return HttpResponse(timezone.get_current_timezone_name())


urlpatterns = [
    path("api/test-zone", zone),
    path("test/zone", zone),
    path("api/v1/test/tokens", Tokens.as_view()),
    path("api/v1/test/people", NewestPeople.as_view()),
    path("api/v1/test/unscoped", Unscoped.as_view()),
    path("api/v1/test/orders", Orders.as_view()),
    path("api/v1/test/failing/<failure>", Failing.as_view()),
    path("test/failing/<failure>", failing_page),
    *urlpatterns,
]
