"""A row that is hidden before a change and after it is no news: its removal is told once.

The words are those of `aggregation.models.NOT_SHOWN`.
"""

from django.db import migrations

HIDDEN = "('superseded', 'undone', 'duplicate', 'split')"
NEWS = f"""
    SELECT changed.id, changed.account_id FROM changed JOIN before USING (id)
    WHERE changed.status NOT IN {HIDDEN} OR before.status NOT IN {HIDDEN}
"""
FORWARD = f"""
CREATE FUNCTION sync_note_modified() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sync_accountfeed AS feed (account_id, user_id, seq)
    SELECT account.id, connection.user_id, 1
    FROM (SELECT DISTINCT account_id FROM ({NEWS}) AS news) AS touched
    JOIN connections_account AS account ON account.id = touched.account_id
    JOIN connections_connection AS connection ON connection.id = account.connection_id
    ORDER BY account.id  -- all take the counters in the same order
    ON CONFLICT (account_id) DO UPDATE SET seq = feed.seq + 1;
    INSERT INTO sync_transactionchange (transaction_id, account_feed_id, seq, added_seq)
    SELECT news.id, news.account_id, feed.seq, feed.seq
    FROM ({NEWS}) AS news JOIN sync_accountfeed AS feed ON feed.account_id = news.account_id
    ON CONFLICT (transaction_id) DO UPDATE SET seq = EXCLUDED.seq;
    RETURN NULL;
END $$;
DROP TRIGGER sync_note_modified ON aggregation_transaction;
CREATE TRIGGER sync_note_modified AFTER UPDATE ON aggregation_transaction
    REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION sync_note_modified();
"""
BACK = """
DROP TRIGGER sync_note_modified ON aggregation_transaction;
CREATE TRIGGER sync_note_modified AFTER UPDATE ON aggregation_transaction
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sync_note_changes();
DROP FUNCTION sync_note_modified();
"""


class Migration(migrations.Migration):
    dependencies = [("sync", "0010_files_read_by_ranges"), ("aggregation", "0003_who_told_what")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
