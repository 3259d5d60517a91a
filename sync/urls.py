from django.urls import path

from sync import connection_pages, history_pages, import_row_views, import_views, parked_pages, undo_views, views

app_name = "sync"
urlpatterns = [
    path("", views.run_list, name="list"),
    path("progress", views.progress, name="progress"),
    path("start", views.start, name="start"),
    path("import/", import_views.upload, name="import"),
    path("import/<uuid:draft_id>/", import_views.setup, name="draft"),
    path("import/<uuid:draft_id>/checking", import_views.checking, name="checking"),
    path("import/<uuid:draft_id>/columns/", import_views.map_columns, name="columns"),
    path("import/<uuid:draft_id>/words/", import_views.map_words, name="words"),
    path("import/<uuid:draft_id>/rows/", import_row_views.rows, name="rows"),
    path("import/<uuid:draft_id>/rows/<int:line>/", import_row_views.row, name="row"),
    path("import/<uuid:draft_id>/rows/<int:line>/word", import_row_views.say_word, name="say-word"),
    path("import/<uuid:draft_id>/choose", import_row_views.choose_rows, name="choose"),
    path("import/<uuid:draft_id>/confirm", import_views.confirm, name="confirm"),
    path("import/<uuid:draft_id>/discard", import_views.discard, name="discard"),
    path("connections/<uuid:connection_id>/", connection_pages.connection, name="connection"),
    path("connections/<uuid:connection_id>/card", connection_pages.card, name="connection-card"),
    path("connections/<uuid:connection_id>/schedule", connection_pages.schedule, name="schedule"),
    path("parked/", views.parked_list, name="parked"),
    path("parked/<int:row_id>/", parked_pages.row, name="parked-row"),
    path("parked/rules/<int:rule_id>/forget", parked_pages.forget, name="forget-rule"),
    path("parked/rules/<int:rule_id>/reread", parked_pages.reread, name="reread-rule"),
    path("runs.<str:suffix>", history_pages.export, name="export-runs"),
    path("history", history_pages.keep, name="keep-history"),
    path("runs/<int:run_id>/payloads.json", history_pages.payloads, name="payloads"),
    path("runs/<int:run_id>/", views.run_detail, name="run"),
    path("runs/<int:run_id>/rejected.csv", import_views.rejected, name="rejected"),
    path("runs/<int:run_id>/cancel", views.cancel, name="cancel"),
    path("runs/<int:run_id>/undo", undo_views.undo, name="undo"),
]
