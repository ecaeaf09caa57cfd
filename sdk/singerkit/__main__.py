"""``python -m singerkit``: the same as the ``singerkit`` command."""

from singerkit.cli.main import main

if __name__ == "__main__":
    main()
