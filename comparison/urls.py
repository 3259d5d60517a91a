from django.urls import path

import aggregation.urls  # noqa: F401  (registers the converter "suffix")
from comparison import match_views, mine_views, quality_views, rating_views, views

app_name = "comparison"
urlpatterns = [
    path("", views.prices, name="prices"),
    path("features/", views.feature_list, name="features"),
    path("mine/", mine_views.mine, name="mine"),
    path("mine/lines/", mine_views.lines, name="lines"),
    path("mine/running/<uuid:simulation_id>", mine_views.progress, name="progress"),
    path("match/", match_views.match, name="match"),
    path("match/keep", match_views.keep, name="keep"),
    path("match/<int:recommendation_id>/", match_views.kept, name="kept"),
    path("brokers/<slug:broker>/", views.broker, name="broker"),
    path("execution-quality/", quality_views.execution_quality_page, name="execution_quality"),
    path("execution-quality.<suffix:suffix>", quality_views.export_execution_quality, name="export_execution_quality"),
    path("ratings/", rating_views.rating_list, name="ratings"),
    path("ratings/<slug:broker>/", rating_views.broker_ratings, name="broker_ratings"),
    path("ratings/<slug:broker>/withdraw", rating_views.withdraw, name="withdraw_rating"),
    path("ratings/report/<int:rating_id>", rating_views.report, name="report_rating"),
]
