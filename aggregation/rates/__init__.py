"""Rates of exchange: read from the European Central Bank, and used to tell every amount in one currency."""
