"""The feed's statements are planned anew for each change, by `EXECUTE`: else PostgreSQL keeps a function's plan for the
session, and one made for a single changed row joins ten thousand row by row. The words are those of 0011.
"""

from django.db import migrations

HIDDEN = "('superseded', 'undone', 'duplicate', 'split')"
NEWS = f"""
    SELECT changed.id, changed.account_id FROM changed JOIN before USING (id)
    WHERE changed.status NOT IN {HIDDEN} OR before.status NOT IN {HIDDEN}
"""
FORWARD = f"""
CREATE OR REPLACE FUNCTION sync_note_modified() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $sql$
        INSERT INTO sync_accountfeed AS feed (account_id, user_id, seq)
        SELECT account.id, connection.user_id, 1
        FROM (SELECT DISTINCT account_id FROM ({NEWS}) AS news) AS touched
        JOIN connections_account AS account ON account.id = touched.account_id
        JOIN connections_connection AS connection ON connection.id = account.connection_id
        ORDER BY account.id  -- all take the counters in the same order
        ON CONFLICT (account_id) DO UPDATE SET seq = feed.seq + 1
    $sql$;
    EXECUTE $sql$
        INSERT INTO sync_transactionchange (transaction_id, account_feed_id, seq, added_seq)
        SELECT news.id, news.account_id, feed.seq, feed.seq
        FROM ({NEWS}) AS news JOIN sync_accountfeed AS feed ON feed.account_id = news.account_id
        ON CONFLICT (transaction_id) DO UPDATE SET seq = EXCLUDED.seq
    $sql$;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("sync", "0012_runs_that_take_turns")]
    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
