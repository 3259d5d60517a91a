"""Which purchase a sale consumed: tax lots, open and closed, worked out anew from the ledger when they are asked for.

rows.py     ledger rows of a person, one query
reading.py  rows into events: what happened to the units; actions.py: of splits, mergers and their like
engine.py   events in order into open and closed lots
service.py  all of it for one person
"""
