from django.urls import path

from brokerhub.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("", views.endpoint_list, name="list"),
    path("new/", views.new, name="new"),
    path("<uuid:endpoint_id>/", views.detail, name="detail"),
    path("<uuid:endpoint_id>/edit/", views.edit, name="edit"),
    path("<uuid:endpoint_id>/switch/", views.switch, name="switch"),
    path("<uuid:endpoint_id>/rotate/", views.rotate, name="rotate"),
    path("<uuid:endpoint_id>/remove/", views.remove, name="remove"),
    path("<uuid:endpoint_id>/test/", views.test, name="test"),
    path("<uuid:endpoint_id>/deliveries/<int:delivery_id>/", views.delivery, name="delivery"),
    path("<uuid:endpoint_id>/deliveries/<int:delivery_id>/resend/", views.resend, name="resend"),
]
