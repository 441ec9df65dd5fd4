"""Promises that no single door keeps alone: who may do what, secrets at rest, licences."""
