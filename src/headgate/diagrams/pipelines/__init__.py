"""Diagrams of headgate's own pipelines, plans and runs: one kind a file. Nothing is drawn that they do not say."""
