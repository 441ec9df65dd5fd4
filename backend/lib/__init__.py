"""Small foundations that every room stands on: settings, time, identity, problems, the queue."""
