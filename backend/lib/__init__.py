"""Small foundations that every package stands on: settings, time, identity, problems, the queue."""
