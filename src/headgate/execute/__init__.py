"""Runs plans: gathers what a plan needs to know, interprets its stages, and keeps the promise when things fail."""
