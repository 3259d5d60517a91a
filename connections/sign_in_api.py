"""REST endpoints with which a program gets a connection signed in: what there is, the way back, keys and questions."""

from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import Scope
from connections import connection_manager, offers
from connections.authorizations import SIGN_IN_MINUTES
from connections.brokers import BROKERS, BrokerEntry
from connections.brokers.base import KeyField, KeysRefused
from connections.errors import SignInFailed
from connections.models import Connection
from connections.own import own_connection
from connections.serializers import (
    AuthorizationUrlSerializer,
    ConnectionSerializer,
    HistoryKeysSerializer,
    KeysAskedSerializer,
    KeysSerializer,
    LandedSerializer,
    MethodSerializer,
    OAuthInitiateSerializer,
    QuestionSerializer,
)


@extend_schema(tags=["connections"])
class Methods(APIView):
    required_scopes: ClassVar = {"GET": Scope.CONNECTIONS_READ}

    @extend_schema(responses=MethodSerializer(many=True))
    def get(self, request: Request) -> Response:
        """What can be connected here, in which ways, what each tells and what it asks for."""
        ways = [way for choice in offers.choices(request.user) for way in choice.ways]  # type: ignore[arg-type]
        return Response([MethodSerializer(way).data for way in ways])


@extend_schema(tags=["connections"])
class OAuthInitiate(APIView):
    required_scopes: ClassVar = {"POST": Scope.CONNECTIONS_WRITE}
    asks_again: ClassVar = {"POST"}

    @extend_schema(request=OAuthInitiateSerializer, responses={200: AuthorizationUrlSerializer})
    def post(self, request: Request) -> Response:
        """The broker's sign-in address for a connection. The person opens it; the address at which the browser lands
        goes to `POST /brokerage/oauth/complete`, unless it is the hub's own and the person is signed in here."""
        wanted = OAuthInitiateSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        connection = own_connection(request, wanted.validated_data["connection"])
        url = connection_manager.start_oauth(connection=connection)
        answer = {"connection": connection.pk, "authorization_url": url, "expires_in": SIGN_IN_MINUTES * 60}
        return Response(AuthorizationUrlSerializer(answer).data)


@extend_schema(tags=["connections"])
class OAuthComplete(APIView):
    required_scopes: ClassVar = {"POST": Scope.CONNECTIONS_WRITE}

    @extend_schema(request=LandedSerializer, responses={200: ConnectionSerializer})
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        """Finish a sign-in that was begun by `POST /brokerage/oauth/initiate`, with the address the browser landed at.

        It is good once and, at most brokers, for less than a minute. `consent_denied` when the person said no.
        """
        wanted = LandedSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            query = parse_qs(urlsplit(wanted.validated_data["address"].strip()).query)
        except ValueError as error:
            raise SignInFailed("This is not a web address. Send the whole of it, from https:// on.") from error
        answer = {name: values[0] for name, values in query.items()}
        connection = connection_manager.complete_oauth(user=request.user, answer=answer)  # type: ignore[arg-type]
        return Response(ConnectionSerializer(own_connection(request, connection.pk)).data)


def _checked(asked: Sequence[KeyField], given: Mapping[str, str]) -> dict[str, str]:
    """What is asked for, out of what was sent. Raises ValidationError that names each field left out."""
    values = {field.name: given.get(field.name, "") for field in asked}
    left_out = {name: ["This field may not be empty."] for name, value in values.items() if not value.strip()}
    if left_out:
        raise serializers.ValidationError({"keys": left_out}, code="required")
    return values


def _beside_its_field(error: KeysRefused) -> Exception:
    """The error as one about the field it names, so that a program can show it there."""
    if not error.field:
        return error
    return serializers.ValidationError({"keys": {error.field: [ErrorDetail(str(error), error.code)]}})


@extend_schema(tags=["connections"])
class ConnectionKeys(APIView):
    required_scopes: ClassVar = {"GET": Scope.CONNECTIONS_WRITE, "POST": Scope.CONNECTIONS_WRITE}
    asks_again: ClassVar = {"POST"}

    @extend_schema(responses=KeysAskedSerializer)
    def get(self, request: Request, connection_id: UUID) -> Response:
        """What this connection asks to be entered, and what the hub has made for the person to bring to the broker
        (the same again for a week)."""
        connection = own_connection(request, connection_id)
        entry = _entry(connection)
        asked = entry.fields if entry else ()
        shown = connection_manager.prepare_keys(connection=connection) if asked else ()
        return Response(KeysAskedSerializer({"connection": connection.pk, "fields_asked": asked, "shown": shown}).data)

    @extend_schema(request=KeysSerializer, responses={200: ConnectionSerializer, 202: QuestionSerializer})
    @sensitive_variables()
    def post(self, request: Request, connection_id: UUID) -> Response:
        """Connect, or renew, with keys. They are tried at the broker before anything is kept.

        202 is a question: send what it asks for together with its `dialogue`, or nothing but that after
        `poll_seconds` when it asks for nothing.
        """
        connection = own_connection(request, connection_id)
        wanted = KeysSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        entry = _entry(connection)
        if entry is None or not entry.fields:
            raise NotAllowed("This connection takes no keys: it is signed in on the broker's page.")
        try:
            return self._answer(request, connection, entry, **wanted.validated_data)
        except KeysRefused as error:
            raise _beside_its_field(error) from error

    @sensitive_variables()
    def _answer(
        self, request: Request, connection: Connection, entry: BrokerEntry, *, keys: dict[str, str], dialogue: str
    ) -> Response:
        user = connection.user
        if offers.kind_of(entry) is not offers.Kind.DIALOGUE:
            keys = _checked(entry.fields, keys)
            done = connection_manager.connect_with_keys(
                user=user, method=entry.method, keys=keys, connection=connection
            )
            return Response(ConnectionSerializer(own_connection(request, done.pk)).data)
        answer = keys if dialogue else _checked(entry.fields, keys)
        outcome = connection_manager.converse(user=user, connection=connection, answer=answer, sealed=dialogue)
        if isinstance(outcome, Connection):
            return Response(ConnectionSerializer(own_connection(request, outcome.pk)).data)
        question = outcome.question
        said = {"connection": connection.pk, "text": question.text, "fields_asked": question.fields}
        said |= {"poll_seconds": question.poll_seconds, "dialogue": outcome.sealed}
        return Response(QuestionSerializer(said).data, status=status.HTTP_202_ACCEPTED)


@extend_schema(tags=["connections"])
class ConnectionHistoryKeys(APIView):
    required_scopes: ClassVar = {"POST": Scope.CONNECTIONS_WRITE}
    asks_again: ClassVar = {"POST"}

    @extend_schema(request=HistoryKeysSerializer, responses={200: ConnectionSerializer})
    @sensitive_variables()
    def post(self, request: Request, connection_id: UUID) -> Response:
        """Let a connection whose own way tells no transactions read them by the way in its method's `history_by`."""
        connection = own_connection(request, connection_id)
        wanted = HistoryKeysSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        entry = _entry(connection)
        if entry is None or entry.history_by is None:
            raise NotAllowed("This connection has no use for keys of that kind.")
        keys = _checked(BROKERS[entry.history_by].fields, wanted.validated_data["keys"])
        try:
            done = connection_manager.add_history(connection=connection, keys=keys, actor=connection.user)
        except KeysRefused as error:
            raise _beside_its_field(error) from error
        return Response(ConnectionSerializer(own_connection(request, done.pk)).data)


def _entry(connection: Connection) -> BrokerEntry | None:
    return None if connection.is_file else connection_manager.entry_for(connection)
