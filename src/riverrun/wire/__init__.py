"""What the client sees, byte for byte: requests, chunks, completions, errors, and the framing of events. Pure."""
