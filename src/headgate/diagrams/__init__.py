"""Pictures: neutral diagrams (graph.py and its siblings), drawn as Mermaid, JSON, DOT or text by pure functions.

What makes diagrams stands beside: from plans and receipts here, from other people's code in modules of its own.
"""
