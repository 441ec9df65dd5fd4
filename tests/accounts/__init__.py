"""Tests of accounts: people, services, clients, tokens and limits."""
