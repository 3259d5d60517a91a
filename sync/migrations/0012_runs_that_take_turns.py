from django.db import migrations, models


class Migration(migrations.Migration):
    """Runs wait in line for a budget that many share."""

    dependencies = [("sync", "0011_changes_nobody_sees_are_not_told")]

    operations = [
        migrations.AddField(
            model_name="syncrun",
            name="line",
            field=models.CharField(
                blank=True, default="", editable=False, help_text="Budget at which it waits its turn.", max_length=60
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="syncrun", name="in_turn", field=models.BooleanField(default=False, editable=False)
        ),
        migrations.AddField(
            model_name="syncrun",
            name="turn_at",
            field=models.DateTimeField(editable=False, help_text="When it last got a turn.", null=True),
        ),
        migrations.AddIndex(
            model_name="syncrun",
            index=models.Index(
                condition=models.Q(("line", ""), _negated=True), fields=["line", "turn_at"], name="turns_of_a_line"
            ),
        ),
    ]
