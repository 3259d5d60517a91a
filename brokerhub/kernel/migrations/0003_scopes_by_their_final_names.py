import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.models import F, Func, Value

RENAMED = {"comparison:read": "compare:read", "comparison:write": "compare:write"}


class ArrayReplace(Func):
    function = "array_replace"


def _rename(apps, names):
    tokens = apps.get_model("kernel", "ApiToken").objects
    for old, new in names.items():
        tokens.filter(scopes__contains=[old]).update(scopes=ArrayReplace(F("scopes"), Value(old), Value(new)))


def forwards(apps, schema_editor):
    _rename(apps, RENAMED)


def backwards(apps, schema_editor):
    _rename(apps, {new: old for old, new in RENAMED.items()})


class Migration(migrations.Migration):
    dependencies = [
        ("kernel", "0002_scopes_of_the_comparison"),
    ]

    operations = [
        migrations.AlterField(
            model_name="apitoken",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("connections:read", "See connections"),
                        ("connections:write", "Connect, refresh and disconnect brokers"),
                        ("portfolio:read", "See accounts, positions, balances and transactions"),
                        ("sync:write", "Start syncs and import files"),
                        ("health:read", "See how the brokers' APIs are doing"),
                        ("compare:read", "Compare brokers: prices, execution quality, ratings"),
                        ("compare:write", "Rate brokers, and keep comparisons"),
                        ("webhooks:write", "Set up webhooks, and see what they delivered"),
                    ],
                    max_length=40,
                ),
                default=list,
                size=None,
            ),
        ),
        migrations.RunPython(forwards, backwards),
    ]
