"""The command `tekkie`."""

from __future__ import annotations


def main() -> None:
    """Run the command line: exit code 0 done, 1 refused or failed, 2 used wrongly."""
    from api.cli.root import app

    app(prog_name="tekkie")


if __name__ == "__main__":
    main()
