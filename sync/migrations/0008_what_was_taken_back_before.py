"""Runs that were taken back before runs said so themselves, and by whom parked rows were told."""

from django.db import migrations

STATEMENTS = (
    """
    UPDATE sync_syncrun AS run SET undone_at = delivery.undone_at
    FROM (SELECT run_id, max(undone_at) AS undone_at FROM aggregation_delivery GROUP BY run_id) AS delivery
    WHERE delivery.run_id = run.id AND delivery.undone_at IS NOT NULL
    """,
    """
    UPDATE sync_parkedrow AS row SET told_by = ARRAY[row.run_id], is_aside = run.undone_at IS NOT NULL
    FROM sync_syncrun AS run WHERE run.id = row.run_id
    """,
)


class Migration(migrations.Migration):
    dependencies = [("sync", "0007_runs_taken_back"), ("aggregation", "0003_who_told_what")]

    operations = [migrations.RunSQL(statement, migrations.RunSQL.noop) for statement in STATEMENTS]
