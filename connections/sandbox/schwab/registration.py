"""The two apps registered at the sandbox's Schwab. No secrets in truth: they open nothing but this sandbox."""

import os

APP_KEY = "sandbox0schwab0app0key0000000001"
APP_SECRET = "sandboxsecret001"  # nosec B105  # of the sandbox only
APPS = {APP_KEY: APP_SECRET, "sandbox0schwab0app0key0000000002": "sandboxsecret002"}
# Schwab itself registers https only; plain http on loopback is the sandbox's one exception, being such itself.
STANDARD_CALLBACKS = "https://127.0.0.1:8182,http://127.0.0.1:8000/connections/callback/schwab"


def standard_callbacks() -> list[str]:
    listed = os.environ.get("SANDBOX_SCHWAB_CALLBACKS") or STANDARD_CALLBACKS
    return [callback.strip() for callback in listed.split(",") if callback.strip()]
