"""Charles Schwab's side: Trader API (Individual), OAuth pages and token endpoint."""
