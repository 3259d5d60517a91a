"""Readings of exports for operators: that they ran and how; the file itself is nobody's but its owner's."""

from typing import ClassVar

from django.contrib import admin

from brokerhub.archive.models import ExportReading
from brokerhub.kernel.readonly import ReadOnlyAdmin


@admin.register(ExportReading)
class ExportReadingAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "state", "size", "rows", "tries", "finished_at", "error")
    list_filter = ("state",)
    search_fields = ("=user__email",)
    list_select_related: ClassVar[tuple[str, ...]] = ("user",)
    date_hierarchy = "created_at"
