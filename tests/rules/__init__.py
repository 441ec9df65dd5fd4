"""Rules of the code that no tool checks."""
