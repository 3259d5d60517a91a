"""Every address of the hub."""

from django.contrib import admin
from django.urls import include, path

from brokerhub import operators, overview, preference_views, prometheus, settings_pages, token_pages, views
from brokerhub.archive import pages as export_pages
from brokerhub.erasure import pages as erasure_pages
from brokerhub.identity import pages as app_access_pages
from connections import app_pages

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("", include("brokerhub.identity.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/retention/", operators.kept, name="retention"),
    path("admin/", admin.site.urls),
    path("api/", include("brokerhub.api")),
    path("compare/", include("comparison.urls")),
    path("connections/", include("connections.urls")),
    path("health/", include("health.urls")),
    path("healthz", views.healthz, name="healthz"),
    path("livez", views.healthz, name="livez"),
    path("metrics", prometheus.metrics, name="metrics"),
    path("portfolio/", include("aggregation.urls")),
    path("preferences/theme", preference_views.theme, name="preference-theme"),
    path("preferences/currency", preference_views.currency, name="preference-currency"),
    path("preferences/amounts", preference_views.amounts, name="preference-amounts"),
    path("readyz", views.readyz, name="readyz"),
    path("settings/", settings_pages.profile, name="settings"),
    path("settings/app-keys/", app_pages.app_keys_list, name="app-keys"),
    path("settings/app-keys/<slug:method>/", app_pages.app_keys_method, name="app-keys-method"),
    path("settings/app-keys/<slug:method>/remove/", app_pages.app_keys_remove, name="app-keys-remove"),
    path("settings/apps/", app_access_pages.app_list, name="apps"),
    path("settings/apps/<int:access_id>/end/", app_access_pages.app_end, name="app-end"),
    path("settings/webhooks/", include("brokerhub.webhooks.urls")),
    path("settings/delete/", erasure_pages.delete_account, name="delete-account"),
    path("settings/export/", export_pages.export, name="export"),
    path("settings/export/download/", export_pages.download, name="export-download"),
    path("settings/export/read/", export_pages.restore, name="export-read"),
    path("settings/tokens/", token_pages.token_list, name="tokens"),
    path("settings/tokens/new/", token_pages.token_new, name="token-new"),
    path("settings/tokens/<int:token_id>/revoke/", token_pages.token_revoke, name="token-revoke"),
    path("settings/export/read/<uuid:reading_id>/", export_pages.progress, name="export-reading"),
    path("sync/", include("sync.urls")),
]

handler400 = "brokerhub.views.bad_request"
handler403 = "brokerhub.views.permission_denied"
handler404 = "brokerhub.views.page_not_found"
handler500 = "brokerhub.views.server_error"
