"""`python -m saecli` is the program."""

from saecli.cli.app import main

if __name__ == "__main__":
    main()
