"""What is remembered of runs: the history of every outcome, and the evidence of those that were refused."""
