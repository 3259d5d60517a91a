"""The brokers' other side: a small server that speaks each broker's wire format, with people who do not exist."""
