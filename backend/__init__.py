"""Carillon: one REST API for the systems that notify, a portal for the teams that own the messages."""
