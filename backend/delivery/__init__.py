"""Claims, attempts, states, retries and repair."""
