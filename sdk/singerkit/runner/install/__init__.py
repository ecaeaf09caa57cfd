"""Each connector with a package in an environment of its own, exactly as singer.lock has it."""

from singerkit.runner.install.install import LOCK_NAME, Installer, Wanted, wanted_of
from singerkit.runner.install.tools import InstallError, find_tool

__all__ = ["LOCK_NAME", "InstallError", "Installer", "Wanted", "find_tool", "wanted_of"]
