"""Triggers that write the feed of changes; see `feed_models`. Rows booked before are its first entries."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION sync_note_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sync_accountfeed AS feed (account_id, user_id, seq)
    SELECT account.id, connection.user_id, 1
    FROM (SELECT DISTINCT account_id FROM changed) AS touched
    JOIN connections_account AS account ON account.id = touched.account_id
    JOIN connections_connection AS connection ON connection.id = account.connection_id
    ORDER BY account.id  -- all take the counters in the same order
    ON CONFLICT (account_id) DO UPDATE SET seq = feed.seq + 1;
    INSERT INTO sync_transactionchange (transaction_id, account_feed_id, seq, added_seq)
    SELECT changed.id, changed.account_id, feed.seq, feed.seq
    FROM changed JOIN sync_accountfeed AS feed ON feed.account_id = changed.account_id
    ON CONFLICT (transaction_id) DO UPDATE SET seq = EXCLUDED.seq;
    RETURN NULL;
END $$;
CREATE FUNCTION sync_note_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sync_accountfeed SET seq = seq + 1 WHERE account_id IN (SELECT account_id FROM changed);
    UPDATE sync_transactionchange AS change SET seq = feed.seq, is_erased = true
    FROM changed, sync_accountfeed AS feed
    WHERE change.transaction_id = changed.id AND feed.account_id = change.account_feed_id;
    RETURN NULL;
END $$;
CREATE TRIGGER sync_note_added AFTER INSERT ON aggregation_transaction
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sync_note_changes();
CREATE TRIGGER sync_note_modified AFTER UPDATE ON aggregation_transaction
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sync_note_changes();
CREATE TRIGGER sync_note_erased AFTER DELETE ON aggregation_transaction
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sync_note_erased();
INSERT INTO sync_accountfeed (account_id, user_id, seq)
SELECT account.id, connection.user_id, 1
FROM connections_account AS account
JOIN connections_connection AS connection ON connection.id = account.connection_id
WHERE EXISTS (SELECT FROM aggregation_transaction WHERE account_id = account.id);
INSERT INTO sync_transactionchange (transaction_id, account_feed_id, seq, added_seq)
SELECT id, account_id, 1, 1 FROM aggregation_transaction;
"""
BACK = """
DROP TRIGGER sync_note_added ON aggregation_transaction;
DROP TRIGGER sync_note_modified ON aggregation_transaction;
DROP TRIGGER sync_note_erased ON aggregation_transaction;
DROP FUNCTION sync_note_changes();
DROP FUNCTION sync_note_erased();
"""


class Migration(migrations.Migration):
    # Rows and triggers may not share a transaction with the tables' own foreign keys.
    dependencies = [("sync", "0003_schedules_scopes_and_changes"), ("aggregation", "0001_initial")]
    operations = [migrations.RunSQL(FUNCTION, BACK)]
