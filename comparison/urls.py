from django.urls import path

import aggregation.urls  # noqa: F401  (registers the converter "suffix")
from comparison import quality_views

app_name = "comparison"
urlpatterns = [
    path("execution-quality/", quality_views.execution_quality_page, name="execution_quality"),
    path("execution-quality.<suffix:suffix>", quality_views.export_execution_quality, name="export_execution_quality"),
]
