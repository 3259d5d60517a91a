from django.apps import AppConfig


class KernelConfig(AppConfig):
    name = "brokerhub.kernel"
    label = "kernel"
    verbose_name = "People and tokens"
