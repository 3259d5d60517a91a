from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("health", "0009_budgets_that_connections_share"),
    ]

    operations = [
        migrations.AlterField(
            model_name="maintenancenotice",
            name="channel",
            field=models.CharField(
                choices=[
                    ("email", "E-mail"),
                    ("signal", "To the other parts of the hub"),
                    ("banner", "On a page, and put away"),
                ],
                max_length=6,
            ),
        ),
        migrations.AlterField(
            model_name="alertchoice",
            name="show_banner",
            field=models.BooleanField(
                default=True, verbose_name="On every page: a day before, while it is on and when it is over"
            ),
        ),
    ]
