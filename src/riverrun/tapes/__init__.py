"""Where streams live: numbered, append-only, read by any number of followers."""
