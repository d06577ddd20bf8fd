"""Decisions, with the clock passed in. Pure."""
