"""What earlier versions booked, in the words of this one: who told which row, and rows told by file and broker."""

from django.db import migrations

STATED = """
UPDATE aggregation_transaction SET stated = status WHERE status IN ('pending', 'void')
"""
TOLD_TWICE = """
UPDATE aggregation_transaction AS file SET status = 'duplicate'
FROM aggregation_transaction AS broker
WHERE file.superseded_by_id = broker.id AND file.status = 'superseded' AND file.source = 'csv' AND broker.source = 'api'
"""
DELIVERIES = """
INSERT INTO aggregation_delivery (account_id, run_id, source, rows, first_on, last_on, created_at)
SELECT account_id, run_id, source, array_agg(id ORDER BY id), min(traded_on), max(traded_on), min(booked_at)
FROM aggregation_transaction GROUP BY account_id, run_id, source ORDER BY min(id)
"""


class Migration(migrations.Migration):
    dependencies = [("aggregation", "0002_duplicates_and_undo")]

    operations = [
        migrations.RunSQL(statement, migrations.RunSQL.noop) for statement in (STATED, TOLD_TWICE, DELIVERIES)
    ]
