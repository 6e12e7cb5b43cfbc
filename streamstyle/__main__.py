"""`python -m streamstyle`."""

from streamstyle.cli.main import program

program()
