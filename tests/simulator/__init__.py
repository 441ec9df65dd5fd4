"""A simulator of whole installations: the real claims, leases, marks and repairs, under a scheduler drawn by a number.

``python -m tests.simulator --schedules 10000 --seed 1`` draws so many schedules and prints what it found.
"""
