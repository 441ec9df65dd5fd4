"""Tests of obligations: their steps, goals, links, policies and ledger."""
