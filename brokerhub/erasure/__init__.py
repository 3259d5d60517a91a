"""Deleting an account: count it, end the access at brokers, erase all of it, and look whether anything is left."""
