"""REST endpoints of connections. The same service functions as the pages."""

from typing import ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.models import Scope
from connections import account_list, connection_manager
from connections.models import Connection, ConnectionEvent, ConnectionQuerySet
from connections.own import own_connection
from connections.serializers import (
    AddAccountSerializer,
    ConnectionCreateSerializer,
    ConnectionEventSerializer,
    ConnectionSerializer,
    DisconnectReceiptSerializer,
    LabelSerializer,
)
from connections.sign_in_api import ConnectionHistoryKeys, ConnectionKeys, Methods, OAuthComplete, OAuthInitiate


class ConnectionFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    class Meta:
        model = Connection
        fields = ("broker", "state", "method")


@extend_schema(tags=["connections"])
class ConnectionList(ListAPIView[Connection]):
    """Your connections, newest last; POST adds one that waits for its sign-in."""

    queryset = Connection.objects.none()
    serializer_class = ConnectionSerializer
    filterset_class = ConnectionFilter
    required_scopes: ClassVar = {"GET": Scope.CONNECTIONS_READ, "POST": Scope.CONNECTIONS_WRITE}
    asks_again: ClassVar = {"POST"}
    ordering = ("created_at", "id")

    def get_queryset(self) -> ConnectionQuerySet:
        return connection_manager.list_connections(self.request.user)  # type: ignore[arg-type]

    @extend_schema(request=ConnectionCreateSerializer, responses={201: ConnectionSerializer})
    def post(self, request: Request) -> Response:
        """Add a connection in state `pending_auth`. `next_action` says how it goes on."""
        wanted = ConnectionCreateSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        connection = connection_manager.create_connection(user=request.user, **wanted.validated_data)  # type: ignore[arg-type]
        return Response(ConnectionSerializer(connection).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["connections"])
class ConnectionDetail(APIView):
    required_scopes: ClassVar = {
        "GET": Scope.CONNECTIONS_READ,
        "PATCH": Scope.CONNECTIONS_WRITE,
        "DELETE": Scope.CONNECTIONS_WRITE,
    }
    asks_again: ClassVar = {"DELETE"}

    @extend_schema(responses=ConnectionSerializer)
    def get(self, request: Request, connection_id: UUID) -> Response:
        """One connection with its accounts."""
        return Response(ConnectionSerializer(own_connection(request, connection_id)).data)

    @extend_schema(request=LabelSerializer, responses=ConnectionSerializer)
    def patch(self, request: Request, connection_id: UUID) -> Response:
        """Give the connection another name."""
        connection = own_connection(request, connection_id)
        wanted = LabelSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        label = wanted.validated_data["label"]
        connection_manager.rename(connection=connection, label=label, actor=request.user)  # type: ignore[arg-type]
        return Response(ConnectionSerializer(connection).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("history", OpenApiTypes.STR, enum=["keep", "erase"], default="keep"),
            OpenApiParameter("dry_run", OpenApiTypes.BOOL, default=False, description="Only count what it would do."),
        ],
        responses={200: DisconnectReceiptSerializer},
    )
    def delete(self, request: Request, connection_id: UUID) -> Response:
        """Disconnect: the keys are deleted at once; the history is kept read-only or erased. Answers with a receipt."""
        history = request.query_params.get("history", "keep")
        if history not in {"keep", "erase"}:
            raise HubError("history must be keep or erase.")
        wish = request.query_params.get("dry_run", "false")
        if wish not in {"true", "1", "false", "0"}:
            raise HubError("dry_run must be true or false.")
        connection, dry_run = own_connection(request, connection_id), wish in {"true", "1"}
        left = connection_manager.left_to_do(connection)
        if dry_run:
            rows, revocation = connection_manager.disconnect_counts(connection), None
        else:
            done = connection_manager.disconnect(
                connection=connection,
                actor=request.user,  # type: ignore[arg-type]
                keep_history=history == "keep",
            )
            rows, revocation = done.rows, done.revocation.value
        receipt = {"history": history, "rows": rows, "left_to_do": left, "dry_run": dry_run, "revocation": revocation}
        return Response(DisconnectReceiptSerializer({"connection": connection_id, **receipt}).data)


@extend_schema(tags=["connections"])
class ConnectionRefresh(APIView):
    required_scopes: ClassVar = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(request=None, responses=ConnectionSerializer)
    def post(self, request: Request, connection_id: UUID) -> Response:
        """Renew access now, as the hub does by itself before it ends. 409 when only a new sign-in can help."""
        connection = own_connection(request, connection_id)
        connection_manager.renew_now(connection)
        return Response(ConnectionSerializer(connection).data)


@extend_schema(tags=["connections"])
class ConnectionEvents(ListAPIView[ConnectionEvent]):
    """What happened to a connection, newest first: who, from which state to which, and why."""

    queryset = ConnectionEvent.objects.none()
    serializer_class = ConnectionEventSerializer
    filter_backends = ()
    required_scopes: ClassVar = {"GET": Scope.CONNECTIONS_READ}
    ordering = ("-created_at", "-id")

    def get_queryset(self) -> QuerySet[ConnectionEvent]:
        return own_connection(self.request, self.kwargs["connection_id"]).events.select_related("connection")


@extend_schema(tags=["connections"])
class OfferedAccountChoice(APIView):
    required_scopes: ClassVar = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(request=AddAccountSerializer, responses={200: ConnectionSerializer})
    def post(self, request: Request, connection_id: UUID, offered_id: int) -> Response:
        """Add an account of `offered_accounts`, whose history is then read, or leave it out."""
        connection = own_connection(request, connection_id)
        offered = get_object_or_404(connection.offered_accounts, pk=offered_id)
        wanted = AddAccountSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        if wanted.validated_data["add"]:
            account_list.add_offered(offered, actor=connection.user)
        else:
            account_list.decline_offered(offered, actor=connection.user)
        return Response(ConnectionSerializer(own_connection(request, connection_id)).data)


urlpatterns = [
    path("brokerage/connections", ConnectionList.as_view(), name="connection-list"),
    path("brokerage/connections/<uuid:connection_id>", ConnectionDetail.as_view(), name="connection-detail"),
    path("brokerage/connections/<uuid:connection_id>/refresh", ConnectionRefresh.as_view(), name="connection-refresh"),
    path("brokerage/connections/<uuid:connection_id>/events", ConnectionEvents.as_view(), name="connection-events"),
    path("brokerage/connections/<uuid:connection_id>/keys", ConnectionKeys.as_view(), name="connection-keys"),
    path(
        "brokerage/connections/<uuid:connection_id>/history-keys",
        ConnectionHistoryKeys.as_view(),
        name="connection-history-keys",
    ),
    path(
        "brokerage/connections/<uuid:connection_id>/accounts/<int:offered_id>",
        OfferedAccountChoice.as_view(),
        name="offered-account",
    ),
    path("brokerage/methods", Methods.as_view(), name="methods"),
    path("brokerage/oauth/initiate", OAuthInitiate.as_view(), name="oauth-initiate"),
    path("brokerage/oauth/complete", OAuthComplete.as_view(), name="oauth-complete"),
]
