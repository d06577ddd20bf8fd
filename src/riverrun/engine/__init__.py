"""The embedded engine: model files are fetched, checked and run in a child process, and watched."""
