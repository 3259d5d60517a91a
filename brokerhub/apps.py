from django.apps import AppConfig


class HubConfig(AppConfig):
    """What ties the apps together: commands that need all of them."""

    name = "brokerhub"
    label = "hub"
