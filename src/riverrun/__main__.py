"""`python -m riverrun` is `riverrun`."""

from riverrun.cli import main

main()
