"""REST endpoints of webhooks. The same service functions as the page."""

from typing import ClassVar, cast
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views.decorators.debug import sensitive_variables
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.models import Scope, User
from brokerhub.webhooks import endpoints
from brokerhub.webhooks.event_types import EventType
from brokerhub.webhooks.models import Delivery, Endpoint, EndpointQuerySet
from brokerhub.webhooks.serializers import (
    ChangedWebhookSerializer,
    EventTypeSerializer,
    NewWebhookSerializer,
    RotationSerializer,
    WebhookDeliverySerializer,
    WebhookSerializer,
    WebhookWithSecretSerializer,
)


def _mine(request: Request) -> EndpointQuerySet:
    return Endpoint.objects.for_user(cast(User, request.user))


def _own(request: Request, endpoint_id: UUID) -> Endpoint:
    return get_object_or_404(_mine(request), pk=endpoint_id)


@sensitive_variables()
def _with_secret(endpoint: Endpoint, secret: str, code: int) -> Response:
    endpoint.secret = secret  # type: ignore[attr-defined]  # for this one answer
    return Response(WebhookWithSecretSerializer(endpoint).data, status=code)


@extend_schema(tags=["webhooks"])
class WebhookList(ListAPIView[Endpoint]):
    """Your webhooks, oldest first."""

    queryset = Endpoint.objects.none()
    serializer_class = WebhookSerializer
    filter_backends = ()
    required_scopes: ClassVar = {"GET": Scope.WEBHOOKS_WRITE, "POST": Scope.WEBHOOKS_WRITE}
    asks_again: ClassVar = {"POST"}
    ordering = ("created_at", "id")

    def get_queryset(self) -> EndpointQuerySet:
        return _mine(self.request)

    @extend_schema(request=NewWebhookSerializer, responses={201: WebhookWithSecretSerializer})
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Add a webhook. Its secret is in this answer and is never shown again."""
        wanted = NewWebhookSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        endpoint, secret = endpoints.create(user=cast(User, request.user), **wanted.validated_data)
        return _with_secret(endpoint, secret, status.HTTP_201_CREATED)


@extend_schema(tags=["webhooks"])
class WebhookDetail(APIView):
    required_scopes: ClassVar = dict.fromkeys(("GET", "PATCH", "DELETE"), Scope.WEBHOOKS_WRITE)
    asks_again: ClassVar = {"PATCH"}  # which may send everything elsewhere

    @extend_schema(responses=WebhookSerializer)
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """One webhook, without its secret."""
        return Response(WebhookSerializer(_own(request, endpoint_id)).data)

    @extend_schema(request=ChangedWebhookSerializer, responses=WebhookSerializer)
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Change its address, name or events; switch it on or off."""
        endpoint = _own(request, endpoint_id)
        wanted = ChangedWebhookSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        endpoints.change(endpoint, **wanted.validated_data)
        return Response(WebhookSerializer(endpoint).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        """Remove it with its log of deliveries."""
        endpoints.remove(_own(request, endpoint_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["webhooks"])
class WebhookRotate(APIView):
    required_scopes: ClassVar = {"POST": Scope.WEBHOOKS_WRITE}
    asks_again: ClassVar = {"POST"}

    @extend_schema(request=RotationSerializer, responses={200: WebhookWithSecretSerializer})
    @sensitive_variables()
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Make a new secret. Everything is signed with both until the old one ends."""
        endpoint = _own(request, endpoint_id)
        wanted = RotationSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        secret = endpoints.rotate(endpoint, overlap_hours=wanted.validated_data["overlap_hours"])
        return _with_secret(endpoint, secret, status.HTTP_200_OK)


@extend_schema(tags=["webhooks"])
class WebhookTest(APIView):
    required_scopes: ClassVar = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(request=None, responses={202: WebhookDeliverySerializer})
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Send a signed `webhook.test` to this webhook, on or off. It is tried once; its delivery says how it went."""
        sent = endpoints.test(_own(request, endpoint_id))
        return Response(WebhookDeliverySerializer(sent).data, status=status.HTTP_202_ACCEPTED)


class DeliveryFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    class Meta:
        model = Delivery
        fields = ("state", "kind")


@extend_schema(tags=["webhooks"])
class WebhookDeliveries(ListAPIView[Delivery]):
    """What was sent to a webhook and what came back, newest first. It is kept for 30 days unless your operator says
    otherwise."""

    queryset = Delivery.objects.none()
    serializer_class = WebhookDeliverySerializer
    filterset_class = DeliveryFilter
    required_scopes: ClassVar = {"GET": Scope.WEBHOOKS_WRITE}
    ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Delivery]:
        endpoint = _own(self.request, self.kwargs["endpoint_id"])
        return endpoint.deliveries.select_related("event").order_by("-pk")


@extend_schema(tags=["webhooks"])
class WebhookDelivery(APIView):
    required_scopes: ClassVar = {"GET": Scope.WEBHOOKS_WRITE}

    @extend_schema(responses=WebhookDeliverySerializer)
    def get(self, request: Request, endpoint_id: UUID, delivery_id: int) -> Response:
        """One delivery, as it stands now."""
        return Response(WebhookDeliverySerializer(_own_delivery(request, endpoint_id, delivery_id)).data)


def _own_delivery(request: Request, endpoint_id: UUID, delivery_id: int) -> Delivery:
    mine = Delivery.objects.for_user(cast(User, request.user)).select_related("event", "endpoint")
    return get_object_or_404(mine, endpoint=endpoint_id, pk=delivery_id)


@extend_schema(tags=["webhooks"])
class DeliveryResend(APIView):
    required_scopes: ClassVar = {"POST": Scope.WEBHOOKS_WRITE}

    @extend_schema(request=None, responses={202: WebhookDeliverySerializer})
    def post(self, request: Request, endpoint_id: UUID, delivery_id: int) -> Response:
        """Send the same event once more, with the same `webhook-id`, whatever came of it before."""
        again = endpoints.resend(_own_delivery(request, endpoint_id, delivery_id))
        return Response(WebhookDeliverySerializer(again).data, status=status.HTTP_202_ACCEPTED)


@extend_schema(tags=["webhooks"])
class EventTypes(APIView):
    required_scopes: ClassVar = {"GET": Scope.WEBHOOKS_WRITE}

    @extend_schema(responses=EventTypeSerializer(many=True))
    def get(self, request: Request) -> Response:
        """What a webhook can be told of."""
        return Response([EventTypeSerializer(each).data for each in EventType])


urlpatterns = [
    path("webhooks", WebhookList.as_view(), name="webhooks"),
    path("webhooks/event-types", EventTypes.as_view(), name="webhook-event-types"),
    path("webhooks/<uuid:endpoint_id>", WebhookDetail.as_view(), name="webhook"),
    path("webhooks/<uuid:endpoint_id>/rotate", WebhookRotate.as_view(), name="webhook-rotate"),
    path("webhooks/<uuid:endpoint_id>/test", WebhookTest.as_view(), name="webhook-test"),
    path("webhooks/<uuid:endpoint_id>/deliveries", WebhookDeliveries.as_view(), name="webhook-deliveries"),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<int:delivery_id>", WebhookDelivery.as_view(), name="webhook-delivery"
    ),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<int:delivery_id>/resend",
        DeliveryResend.as_view(),
        name="webhook-resend",
    ),
]
