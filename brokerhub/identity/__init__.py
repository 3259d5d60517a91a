"""The hub as an OAuth 2.0 and OpenID Connect provider: apps of others, and what people let them do.

django-allauth's identity provider (allauth.idp.oidc) speaks the protocol and keeps clients and tokens. What is here
makes it stricter (RFC 9700), gives it the API's scopes and the hub's pages, and remembers who has let which app in.
"""
