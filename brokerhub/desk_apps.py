"""The admin as an app: our site in the place of Django's own."""

from django.contrib.admin.apps import AdminConfig


class HubAdminConfig(AdminConfig):
    default_site = "brokerhub.desk_site.HubAdminSite"

    def ready(self) -> None:
        super().ready()
        from django.contrib.admin.models import LogEntry
        from django.db.models.signals import post_save

        from brokerhub.kernel import desk
        from brokerhub.kernel.desk_models import note_act

        post_save.connect(note_act, sender=LogEntry, dispatch_uid="kernel.note_act")
        desk.load()
