"""The sandbox's Robinhood: official sign-in with its MCP server, crypto API by key, and the app's private API."""
