from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0005_degraded_parts_with_reasons"),
    ]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="ids_given_to",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Digest of the app key by which the broker gave its ids; kept on leaving.",
                max_length=16,
            ),
            preserve_default=False,
        ),
    ]
