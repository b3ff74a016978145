"""`python -m enfilade` is the command `enfilade`, where a script is not at hand."""

from enfilade.cli import main

if __name__ == "__main__":
    main(prog_name="enfilade")
