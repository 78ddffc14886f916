"""Mermaid: one file a grammar of it, and one rule of escaping for all (words.py)."""
