"""What watches the installation: its ledgers and their alarm, its providers, and the gauges of all that waits."""
