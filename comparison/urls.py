from django.urls import path

import aggregation.urls  # noqa: F401  (registers the converter "suffix")
from comparison import quality_views, views

app_name = "comparison"
urlpatterns = [
    path("", views.prices, name="prices"),
    path("features/", views.feature_list, name="features"),
    path("brokers/<slug:broker>/", views.broker, name="broker"),
    path("execution-quality/", quality_views.execution_quality_page, name="execution_quality"),
    path("execution-quality.<suffix:suffix>", quality_views.export_execution_quality, name="export_execution_quality"),
]
