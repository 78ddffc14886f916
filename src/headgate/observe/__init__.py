"""Listeners of a run's events: progress for people, logs for machines."""
