"""A Meltano project as a singer.toml, and a list of what has no place in it.

Source: https://docs.meltano.com/concepts/project and the pages on plugins, environments and schedules; Meltano 4.4.
"""

from singerkit.runner.from_meltano.convert import Conversion, convert_project

__all__ = ["Conversion", "convert_project"]
