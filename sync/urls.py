from django.urls import path

from sync import views

app_name = "sync"
urlpatterns = [
    path("", views.run_list, name="list"),
    path("progress", views.progress, name="progress"),
    path("start", views.start, name="start"),
    path("import/", views.import_file, name="import"),
    path("parked/", views.parked_list, name="parked"),
    path("runs/<int:run_id>/", views.run_detail, name="run"),
    path("runs/<int:run_id>/cancel", views.cancel, name="cancel"),
]
