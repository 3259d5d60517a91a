"""An admin for what is looked at and searched, but never written by hand."""

from typing import Any

from django.http import HttpRequest

from brokerhub.kernel.desk_admin import DeskAdmin


class ReadOnlyAdmin(DeskAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
