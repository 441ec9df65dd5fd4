"""Journeys through a served application in a real browser."""
