"""riverrun: the Chat Completions API, streaming first, in front of any model."""

__version__ = "0.1.0"
