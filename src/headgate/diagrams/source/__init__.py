"""Other people's Python, read as text: parsed, followed by an evaluator of its own, never imported or executed."""
