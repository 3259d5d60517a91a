"""REST endpoints of the books. The same querysets and filters as the pages."""

from typing import Any, ClassVar

import django_filters as filters
from django.db import transaction
from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aggregation.account_aggregator import counted_accounts
from aggregation.balances_api import AccountList, BalanceList
from aggregation.filters import TransactionFilter, newest_first, own_accounts
from aggregation.models import Position, Transaction
from aggregation.newest import ACCOUNTS_ONCE
from aggregation.review_api import TransactionEditSerializer
from aggregation.serializers import (
    ListedTransactionSerializer,
    PositionSerializer,
    TransactionDetailSerializer,
)
from brokerhub.kernel.models import Scope
from connections.brokers.records import Broker

READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}


def _as_on_pages(rows: QuerySet[Position], request: Request) -> QuerySet[Position]:
    """Of one account its figures, whatever became of it; else those of which the portfolio's totals consist."""
    user: Any = request.user
    return rows if request.query_params.get("account") else rows.filter(account__in=counted_accounts(user))


class ByAccount(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    account = filters.ModelChoiceFilter(queryset=own_accounts)
    broker = filters.ChoiceFilter(field_name="account__connection__broker", choices=Broker.choices)


@extend_schema(tags=["portfolio"])
class PositionList(ListAPIView[Position]):
    """What your accounts hold, one row per account and instrument."""

    queryset = Position.objects.none()
    serializer_class = PositionSerializer
    filterset_class = ByAccount
    required_scopes: ClassVar = READ
    ordering = ("pk",)

    def get_queryset(self) -> QuerySet[Position]:
        held = Position.objects.for_user(self.request.user).held()  # type: ignore[arg-type]
        return (
            _as_on_pages(held, self.request).select_related("instrument").prefetch_related(ACCOUNTS_ONCE).defer("raw")
        )


@extend_schema(tags=["portfolio"])
class TransactionList(ListAPIView[Transaction]):
    """Your transactions, newest first, in pages that stay in place while new rows come in.

    Rows that a correction has replaced, that were taken back, split, or told twice are left out, unless you ask for
    their `status` or for a `run`; each row's own address tells what it replaced.
    """

    queryset = Transaction.objects.none()
    serializer_class = ListedTransactionSerializer
    filterset_class = TransactionFilter
    required_scopes: ClassVar = READ
    ordering = ("-traded_on", "-pk")

    def get_queryset(self) -> QuerySet[Transaction]:
        return Transaction.objects.for_user(self.request.user)  # type: ignore[arg-type]

    def filter_queryset(self, queryset: QuerySet[Any]) -> Any:
        asked = TransactionFilter(self.request.query_params, Transaction.objects.all(), request=self.request)
        if not asked.is_valid():
            return super().filter_queryset(queryset)  # which answers with what is wrong
        return newest_first(self.request.user, asked)  # type: ignore[arg-type]


@extend_schema(tags=["portfolio"])
class TransactionDetail(RetrieveAPIView[Transaction]):
    """One transaction with the run that booked it, what the broker sent, and the versions it replaced."""

    queryset = Transaction.objects.none()
    serializer_class = TransactionDetailSerializer
    required_scopes: ClassVar = {**READ, "PATCH": Scope.SYNC_WRITE}

    @extend_schema(request=TransactionEditSerializer, responses=TransactionDetailSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """Write a note or tags, leave it out or bring it back, split it. Kept by later syncs. All of it or nothing."""
        row, wanted = self.get_object(), TransactionEditSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        with transaction.atomic():
            wanted.apply(row, request.user)  # type: ignore[arg-type]
        return Response(TransactionDetailSerializer(self.get_object()).data)

    def get_queryset(self) -> QuerySet[Transaction]:
        rows = Transaction.objects.for_user(self.request.user)  # type: ignore[arg-type]
        rows = rows.select_related("instrument", "account__connection", "edit")
        return rows.prefetch_related("supersedes", "parts")


urlpatterns = [
    path("brokers/accounts", AccountList.as_view(), name="account-list"),
    path("brokers/positions", PositionList.as_view(), name="position-list"),
    path("brokers/balances", BalanceList.as_view(), name="balance-list"),
    path("brokerage/transactions", TransactionList.as_view(), name="transaction-list"),
    path("brokerage/transactions/<int:pk>", TransactionDetail.as_view(), name="transaction-detail"),
]
