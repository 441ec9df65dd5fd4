"""What watches the installation: ledgers and their alarm, providers, usage, and the gauges of all that waits."""
