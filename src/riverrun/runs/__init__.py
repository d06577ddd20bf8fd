"""One completion from ask to tape: its branches, its timers, its ending. Every decision is routing's."""
