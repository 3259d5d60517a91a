from django.urls import path

from connections import key_pages, views

app_name = "connections"
urlpatterns = [
    path("", views.connection_list, name="list"),
    path("cards/", views.connection_cards, name="cards"),
    path("new/", views.connection_new, name="new"),
    path("new/<slug:method>/", key_pages.keys_new, name="keys_new"),
    path("callback/<slug:broker>", views.callback, name="callback"),
    path("callback/<slug:broker>/paste/", views.paste, name="paste"),
    path("revocations/<uuid:revocation_id>/again/", views.revocation_again, name="revocation_again"),
    path("revocations/<uuid:revocation_id>/dismiss/", views.revocation_dismiss, name="revocation_dismiss"),
    path("<uuid:connection_id>/", views.connection_detail, name="detail"),
    path("<uuid:connection_id>/state/", views.connection_state, name="state"),
    path("<uuid:connection_id>/sign-in/", views.sign_in, name="sign_in"),
    path("<uuid:connection_id>/keys/", key_pages.keys, name="keys"),
    path("<uuid:connection_id>/history-keys/", key_pages.history_keys, name="history_keys"),
    path("<uuid:connection_id>/accounts/<int:offered_id>/", views.offered_account, name="offered_account"),
    path("<uuid:connection_id>/label/", views.rename, name="rename"),
    path("<uuid:connection_id>/refresh/", views.refresh, name="refresh"),
    path("<uuid:connection_id>/disconnect/", views.disconnect, name="disconnect"),
]
