"""The hub's frame."""
