"""Correcting what fails: all that fails for one reason is looked at, sent again in one step, and reported."""
