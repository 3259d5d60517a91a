from django.urls import path

from health import rss, views

app_name = "health"

urlpatterns = [
    path("", views.board, name="board"),
    path("widget", views.widget, name="widget"),
    path("banner", views.put_banner_away, name="put-banner-away"),
    path("alerts/", views.alert_choices, name="alerts"),
    path("incidents.rss", views.for_all_if_public(rss.IncidentFeed()), name="rss"),
    path("api/v2/<path:document>.json", views.status_page_document, name="status-page"),
    path("badge/<str:broker>.svg", views.badge_image, name="badge-image"),
    path("badge/<str:broker>", views.badge, name="badge"),
    path("<slug:broker>/", views.broker_page, name="broker"),
]
