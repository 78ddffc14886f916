"""Pictures of what was found in foreign projects: pure functions from facts to diagrams."""
