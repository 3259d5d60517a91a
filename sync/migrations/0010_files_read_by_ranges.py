from django.db import migrations


class Migration(migrations.Migration):
    """A compressed value has to be unpacked from its beginning for each range of it that is read."""

    dependencies = [("sync", "0009_words_of_files")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE sync_importfile ALTER COLUMN content SET STORAGE EXTERNAL",
            "ALTER TABLE sync_importfile ALTER COLUMN content SET STORAGE EXTENDED",
        )
    ]
