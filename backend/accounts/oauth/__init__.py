"""The authorization server of OAuth 2.0 for API clients."""
