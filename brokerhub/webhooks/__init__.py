"""Telling people's own programs what happened, by the Standard Webhooks specification (standardwebhooks.com)."""
