from django.urls import path, register_converter

from aggregation import review_views, views


class FileSuffix:
    regex = "csv|json"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(FileSuffix, "suffix")

app_name = "aggregation"
urlpatterns = [
    path("", views.portfolio, name="portfolio"),
    path("positions.<suffix:suffix>", views.export_positions, name="export-positions"),
    path("holdings/<int:instrument_id>/<str:currency>/", views.holding, name="holding"),
    path("accounts/<int:account_id>/", views.account, name="account"),
    path("transactions/", views.transactions, name="transactions"),
    path("transactions.<suffix:suffix>", views.export_transactions, name="export-transactions"),
    path("transactions/<int:transaction_id>/", views.transaction, name="transaction"),
    path("transactions/<int:transaction_id>/note", review_views.annotate, name="annotate"),
    path("transactions/<int:transaction_id>/change", review_views.change, name="change"),
    path("transactions/<int:transaction_id>/split", review_views.split, name="split"),
    path("transactions/excluded/", review_views.excluded, name="excluded"),
    path("review/", review_views.queue, name="review"),
    path("review/<int:pair_id>", review_views.decide, name="decide"),
]
