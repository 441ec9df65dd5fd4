"""Real processes that are killed and stopped at any moment: nothing accepted is lost, nothing is sent twice."""
