"""Interactive Brokers' side of the sandbox: OAuth 1.0a, the Web API's portfolio routes, the Flex Web Service."""
