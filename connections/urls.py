from django.urls import path

from connections import views

app_name = "connections"
urlpatterns = [
    path("", views.connection_list, name="list"),
    path("cards/", views.connection_cards, name="cards"),
    path("new/", views.connection_new, name="new"),
    path("new/<slug:method>/", views.keys, name="keys_new"),
    path("callback/<slug:broker>", views.callback, name="callback"),
    path("callback/<slug:broker>/paste/", views.paste, name="paste"),
    path("<uuid:connection_id>/", views.connection_detail, name="detail"),
    path("<uuid:connection_id>/sign-in/", views.sign_in, name="sign_in"),
    path("<uuid:connection_id>/keys/", views.keys, name="keys"),
    path("<uuid:connection_id>/label/", views.rename, name="rename"),
    path("<uuid:connection_id>/refresh/", views.refresh, name="refresh"),
    path("<uuid:connection_id>/disconnect/", views.disconnect, name="disconnect"),
]
