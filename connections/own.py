"""The asking person's own connection, for pages and endpoints alike: somebody else's is not there."""

from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from connections.connection_manager import list_connections
from connections.models import Connection


def own_connection(request: HttpRequest | Request, connection_id: UUID) -> Connection:
    """Raises Http404."""
    return get_object_or_404(list_connections(request.user), pk=connection_id)  # type: ignore[arg-type]
