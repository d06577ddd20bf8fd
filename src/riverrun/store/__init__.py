"""What is written down of runs, for whoever pays for them: the ledger."""
