"""REST endpoints of the books. The same querysets and filters as the pages."""

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from aggregation.balances_api import AccountList, BalanceList
from aggregation.filters import TransactionFilter, newest_first
from aggregation.models import Transaction
from aggregation.positions.api import PositionList
from aggregation.review_api import TransactionEditSerializer
from aggregation.serializers import (
    ListedTransactionSerializer,
    TransactionDetailSerializer,
)
from brokerhub.kernel.models import Scope

READ: dict[str, str] = {"GET": Scope.PORTFOLIO_READ}


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
