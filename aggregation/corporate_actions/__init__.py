"""Splits, spin-offs, mergers and new names entered by hand: seen before they are applied, applied once, taken back.

models.py    what a person entered, and the rows that were booked for it
effects.py   what it does to an account: pure       applying.py  preview, apply, take back
standing.py  a broker that tells it as well is believed, and the rows by hand step aside
"""
