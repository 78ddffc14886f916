"""Everything that only looks: plain data out of history, ledgers and tables; whoever asks renders it."""
