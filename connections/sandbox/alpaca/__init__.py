"""Alpaca's other side: OAuth 2.0 and the reading part of the Trading API v2, as docs/brokers-alpaca.md has them."""
