from django.apps import AppConfig


class ArchiveConfig(AppConfig):
    name = "brokerhub.archive"
    verbose_name = "Exports"
