"""`python -m barbot`: the command line. Floor 5."""

from __future__ import annotations

from barbot.cli.app import main

if __name__ == "__main__":
    main()
