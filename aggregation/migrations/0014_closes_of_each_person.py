import aggregation.models
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SAFE_BECAUSE = (
    "Closes are asked for in the background, and will be anew. The release before fails to read or keep them "
    "meanwhile, which ends that one task, and it is tried again."
)


class Migration(migrations.Migration):

    dependencies = [
        ('aggregation', '0013_cash_in_and_out'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.DeleteModel(
            name='DailyPrice',
        ),
        migrations.DeleteModel(
            name='PriceCoverage',
        ),
        migrations.CreateModel(
            name='DailyPrice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='daily_prices', to=settings.AUTH_USER_MODEL)),
                ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='daily_prices', to='aggregation.instrument')),
                ('on', models.DateField()),
                ('close', aggregation.models.MoneyField(decimal_places=10, max_digits=28)),
                ('currency', models.CharField(max_length=3)),
                ('source', models.CharField(choices=[('schwab', 'Charles Schwab'), ('robinhood', 'Robinhood'), ('ibkr', 'Interactive Brokers'), ('alpaca', 'Alpaca'), ('other', 'Another broker')], max_length=12)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'instrument', 'on'), name='one_close_per_day')],
            },
        ),
        migrations.CreateModel(
            name='PriceCoverage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='price_coverages', to=settings.AUTH_USER_MODEL)),
                ('instrument', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='price_coverages', to='aggregation.instrument')),
                ('source', models.CharField(choices=[('schwab', 'Charles Schwab'), ('robinhood', 'Robinhood'), ('ibkr', 'Interactive Brokers'), ('alpaca', 'Alpaca'), ('other', 'Another broker')], max_length=12)),
                ('covered_from', models.DateField(blank=True, null=True)),
                ('covered_to', models.DateField(blank=True, null=True)),
                ('asked_at', models.DateTimeField()),
                ('claimed_until', models.DateTimeField(blank=True, help_text='A worker is asking until then.', null=True)),
                ('trouble', models.CharField(blank=True, help_text='Why there are no prices; in words for people.', max_length=300)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'instrument'), name='one_price_coverage_per_person')],
            },
        ),
    ]
