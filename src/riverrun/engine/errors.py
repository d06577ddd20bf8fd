"""What can be wrong with a model file, said to the person at the terminal: one clear line, no traceback."""

from __future__ import annotations


class ModelError(Exception):
    """A model that can't be had, read or run. The text says what was wrong, where, and what to do."""


class NotGguf(ModelError):
    """The file is not a GGUF model, or is cut short."""


class DoesNotFit(ModelError):
    """The model needs more memory than this machine has free."""


class SourceFailed(ModelError):
    """One source of a model file failed; the next one may have it."""


class PullFailed(ModelError):
    """No source had the model file."""
