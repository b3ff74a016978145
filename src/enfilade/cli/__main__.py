"""`python -m enfilade.cli`."""

from enfilade.cli import main

main(prog_name="enfilade")
