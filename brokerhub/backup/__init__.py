"""The whole database as one file, and back: docs/operations.md, "Backup and restore"."""
