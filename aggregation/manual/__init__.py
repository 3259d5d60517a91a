"""Accounts a person keeps by hand: what is held, its price and cash as they say it, and what they write down."""
