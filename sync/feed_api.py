"""The feed of changed transactions, for programs that keep a copy of the books."""

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.serializers import TransactionSerializer
from brokerhub.kernel.models import Scope
from sync.changes import Cursor, page_after

USUAL, MOST = 500, 2000


class ChangesSerializer(serializers.Serializer[Any]):
    added = TransactionSerializer(many=True)
    modified = TransactionSerializer(many=True)
    removed = serializers.ListField(
        child=serializers.IntegerField(), help_text="Ids of rows that were replaced or erased: take them out."
    )
    next_cursor = serializers.CharField(help_text="Keep it, and ask with it next time.")
    has_more = serializers.BooleanField(help_text="Whether to ask again at once.")


@extend_schema(tags=["portfolio"])
class TransactionChanges(APIView):
    required_scopes: ClassVar = {"GET": Scope.PORTFOLIO_READ}

    @extend_schema(
        parameters=[
            OpenApiParameter("cursor", OpenApiTypes.STR, description="`next_cursor` of the page before."),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL},
                description="Changes a page.",
            ),
        ],
        responses=ChangesSerializer,
    )
    def get(self, request: Request) -> Response:
        """What has changed in your transactions since `cursor`; without one, all of them as added.

        Put added and modified rows in by their id, take removed ones out, keep the cursor. A page asked for twice
        loses and doubles nothing, and rows booked while you read come with a later page. A row that changes while you
        page may come twice.
        """
        asked = request.query_params
        limit = asked.get("limit", f"{USUAL}")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST):
            raise ValidationError({"limit": [f"limit is a number from 1 to {MOST}."]}, code="invalid")
        cursor = Cursor.read(asked["cursor"]) if asked.get("cursor") else Cursor()
        user: Any = request.user
        return Response(ChangesSerializer(page_after(user, cursor, limit=int(limit))).data)


urlpatterns = [path("brokerage/transactions/changes", TransactionChanges.as_view(), name="transaction-changes")]
