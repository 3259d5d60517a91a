from django.urls import path, register_converter

from aggregation import account_pages, review_views, views
from aggregation.corporate_actions import views as actions
from aggregation.history import pages as history_pages
from aggregation.lots import views as lots_views
from aggregation.manual import views as manual
from aggregation.positions import identity_views
from aggregation.positions import views as positions
from aggregation.reconciliation import statement_views
from aggregation.reconciliation import views as reconciling


class FileSuffix:
    regex = "csv|json"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(FileSuffix, "suffix")

app_name = "aggregation"
urlpatterns = [
    path("", positions.portfolio, name="portfolio"),
    path("positions.<suffix:suffix>", positions.export, name="export-positions"),
    path("holdings/<int:instrument_id>/<str:currency>/", positions.holding, name="holding"),
    path("cash/<str:currency>/", positions.cash, name="cash-holding"),
    path("instruments/", identity_views.instruments, name="instruments"),
    path("instruments/<int:instrument_id>/", identity_views.instrument, name="instrument"),
    path("instruments/<int:instrument_id>/change", identity_views.change, name="change-instrument"),
    path("instruments/choices/<int:choice_id>/undo", identity_views.undo, name="undo-choice"),
    path("history/", history_pages.history, name="history"),
    path("history.<suffix:suffix>", history_pages.export, name="export-history"),
    path("accounts/", account_pages.accounts, name="accounts"),
    path("accounts.<suffix:suffix>", account_pages.export_accounts, name="export-accounts"),
    path("balances.<suffix:suffix>", account_pages.export_balances, name="export-balances"),
    path("accounts/new/", manual.new, name="account-new"),
    path("accounts/<int:account_id>/", account_pages.account, name="account"),
    path("accounts/<int:account_id>/position/", manual.position, name="position-new"),
    path("accounts/<int:account_id>/position/<int:instrument_id>/", manual.position, name="position-edit"),
    path("accounts/<int:account_id>/cash/", manual.cash, name="cash"),
    path("accounts/<int:account_id>/transaction/", manual.write_down, name="transaction-new"),
    path("accounts/<int:account_id>/delete/", manual.remove, name="account-delete"),
    path("transactions/<int:transaction_id>/correct/", manual.correct, name="transaction-correct"),
    path("transactions/", views.transactions, name="transactions"),
    path("transactions.<suffix:suffix>", views.export_transactions, name="export-transactions"),
    path("transactions/<int:transaction_id>/", views.transaction, name="transaction"),
    path("transactions/<int:transaction_id>/note", review_views.annotate, name="annotate"),
    path("transactions/<int:transaction_id>/change", review_views.change, name="change"),
    path("transactions/<int:transaction_id>/split", review_views.split, name="split"),
    path("transactions/excluded/", review_views.excluded, name="excluded"),
    path("reconcile/", reconciling.page, name="reconcile"),
    path("reconcile.<suffix:suffix>", reconciling.export, name="export-reconciliation"),
    path("reconcile/compare", reconciling.compare_all, name="compare-all"),
    path("reconcile/accounts/<int:account_id>/", reconciling.see_to_account, name="reconcile-account"),
    path("reconcile/breaks/<int:break_id>/", reconciling.see_to, name="see-to-break"),
    path("reconcile/corrections/<int:correction_id>/undo", reconciling.take_back, name="undo-correction"),
    path("reconcile/statements/<int:account_id>/", statement_views.statement, name="statement"),
    path("reconcile/statements/<int:account_id>.<suffix:suffix>", statement_views.export, name="export-statement"),
    path("reconcile/transfers/", reconciling.possible_transfers, name="possible-transfers"),
    path("reconcile/transfers/<int:link_id>/", reconciling.see_to_transfer, name="see-to-transfer"),
    path("actions/", actions.actions, name="corporate-actions"),
    path("actions/new/", actions.enter, name="enter-action"),
    path("actions/<int:action_id>/take-back", actions.take_back, name="take-back-action"),
    path("gains/", lots_views.gains, name="gains"),
    path("gains/<int:transaction_id>/lots/", lots_views.pick_lots, name="pick-lots"),
    path("gains.<suffix:suffix>", lots_views.export_gains, name="export-gains"),
    path("lots/<int:instrument_id>/", lots_views.instrument_lots, name="open-lots"),
    path("lots.<suffix:suffix>", lots_views.export_lots, name="export-lots"),
    path("income/", lots_views.income, name="income"),
    path("income.<suffix:suffix>", lots_views.export_income, name="export-income"),
    path("review/", review_views.queue, name="review"),
    path("review/<int:pair_id>", review_views.decide, name="decide"),
]
