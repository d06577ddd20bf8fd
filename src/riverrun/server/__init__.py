"""The ASGI application: one file per surface. It parses, asks a run, and writes what a tape says."""
