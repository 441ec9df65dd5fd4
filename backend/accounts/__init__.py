"""Who may do what: organisations, services, users, API clients, tokens and their limits."""
