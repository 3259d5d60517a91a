"""Triggers that keep the running totals and note the first day a change is about; see `aggregation.running_totals`.

Each statement that writes transactions adds what it changed. Planned anew each time, by `EXECUTE`: a plan made for one
changed row would serve a hundred thousand badly. A deletion only ever updates, so that it brings nothing back of an
account that is being erased.
"""

from django.db import migrations

NEWS = "SELECT 1 AS sign, account_id, instrument_id, currency, quantity, net_amount, traded_on, status FROM news"
OLDS = "SELECT -1 AS sign, account_id, instrument_id, currency, quantity, net_amount, traded_on, status FROM olds"
EFFECT = """
    SELECT account_id, instrument_id, currency, sum(sign) AS rows, sum(sign * amount) AS amount FROM (
        SELECT sign, account_id, NULL::bigint AS instrument_id, currency, net_amount AS amount
        FROM ({rows}) AS row WHERE status = 'posted'
        UNION ALL
        SELECT sign, account_id, instrument_id, '', quantity
        FROM ({rows}) AS row WHERE status = 'posted' AND instrument_id IS NOT NULL AND quantity IS NOT NULL
    ) AS part GROUP BY account_id, instrument_id, currency
    HAVING sum(sign) <> 0 OR sum(sign * amount) <> 0
    ORDER BY account_id, instrument_id, currency  -- all take the totals in the same order
"""
FIRST_DAY = """
    SELECT account_id, min(traded_on) AS first_on FROM ({rows}) AS row WHERE status = 'posted'
    GROUP BY account_id
"""
ADD = """
    INSERT INTO aggregation_runningtotal AS total (account_id, instrument_id, currency, rows, amount)
    SELECT account_id, instrument_id, currency, rows, amount FROM ({effect}) AS effect
    ON CONFLICT (account_id, instrument_id, currency)
    DO UPDATE SET rows = total.rows + excluded.rows, amount = total.amount + excluded.amount
"""
TAKE_OFF = """
    UPDATE aggregation_runningtotal AS total SET rows = total.rows + effect.rows, amount = total.amount + effect.amount
    FROM ({effect}) AS effect
    WHERE total.account_id = effect.account_id AND total.currency = effect.currency
        AND total.instrument_id IS NOT DISTINCT FROM effect.instrument_id
"""
# Of an account whose days were never taken there is nothing to note: all of them will be.
NOTE = """
    UPDATE aggregation_accounthistory AS history SET changed_from = least(history.changed_from, first_day.first_on)
    FROM ({first_day}) AS first_day WHERE history.account_id = first_day.account_id
"""


def _trigger(event: str, tables: str, rows: str, keep: str) -> str:
    name = f"aggregation_keep_totals_{event.lower()}"
    totals = keep.format(effect=EFFECT.format(rows=rows))
    days = NOTE.format(first_day=FIRST_DAY.format(rows=rows))
    return f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            EXECUTE $sql$ {totals} $sql$;
            EXECUTE $sql$ {days} $sql$;
            RETURN NULL;
        END $$;
        CREATE TRIGGER {name} AFTER {event} ON aggregation_transaction
            REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION {name}();
    """


ALL_ROWS = NEWS.replace("FROM news", "FROM aggregation_transaction")
FORWARD = "\n".join(
    (
        _trigger("INSERT", "NEW TABLE AS news", NEWS, ADD),
        _trigger("UPDATE", "OLD TABLE AS olds NEW TABLE AS news", f"{NEWS} UNION ALL {OLDS}", ADD),
        _trigger("DELETE", "OLD TABLE AS olds", OLDS, TAKE_OFF),
        ADD.format(effect=EFFECT.format(rows=ALL_ROWS)) + ";",
        # What was waiting to be worked out anew may be about any day.
        "UPDATE aggregation_accounthistory SET changed_from = '0001-01-01' WHERE changed_at IS NOT NULL;",
        "UPDATE aggregation_accounthistory SET prices_from = '0001-01-01' WHERE prices_at IS NOT NULL;",
        # The few that settle later than all others do, so that what settles after a day is found by its trade date.
        "CREATE INDEX transactions_settling_late ON aggregation_transaction (account_id, settled_on)"
        " WHERE settled_on > traded_on + 10;",
    )
)
BACK = "".join(
    f"DROP TRIGGER aggregation_keep_totals_{event} ON aggregation_transaction;"
    f"DROP FUNCTION aggregation_keep_totals_{event}();"
    for event in ("insert", "update", "delete")
)


class Migration(migrations.Migration):
    dependencies = [("aggregation", "0011_running_totals")]
    operations = [migrations.RunSQL(FORWARD, BACK + "DROP INDEX transactions_settling_late;")]
