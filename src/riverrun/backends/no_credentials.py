"""That nothing can be shown to an upstream."""

from __future__ import annotations


class NoCredentials(Exception):
    """Why, and what to do, in words that hold no secret and may be shown."""
