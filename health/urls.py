from django.urls import path

from health import views

app_name = "health"

urlpatterns = [
    path("", views.board, name="board"),
    path("widget", views.widget, name="widget"),
    path("badge/<str:broker>", views.badge, name="badge"),
]
