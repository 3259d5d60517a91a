from django.contrib import admin

from brokerhub.kernel.readonly import ReadOnlyAdmin
from health.models import CallBucket
from health.templatetags.health import latency


@admin.register(CallBucket)
class CallBucketAdmin(ReadOnlyAdmin):
    """Measurements are looked at, never written by hand."""

    list_display = (
        "starts_at",
        "resolution",
        "broker",
        "operation",
        "calls",
        "failed",
        "p95",
        "budget",
        "last_call_at",
    )
    list_filter = ("resolution", "broker", "operation", "starts_at")
    search_fields = ("broker", "operation")
    date_hierarchy = "starts_at"
    ordering = ("-starts_at", "broker", "operation")

    @admin.display(description="calls")
    def calls(self, bucket: CallBucket) -> int:
        return bucket.tally.calls

    @admin.display(description="failed")
    def failed(self, bucket: CallBucket) -> int:
        return bucket.tally.failed()

    @admin.display(description="95 % within")
    def p95(self, bucket: CallBucket) -> str:
        return latency(bucket.p95)

    @admin.display(description="budget used")
    def budget(self, bucket: CallBucket) -> str:
        seen = bucket.budget
        return "" if seen is None or seen.used is None else f"{seen.used} of {seen.limit}"
