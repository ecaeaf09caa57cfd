"""The command lines: of every tap, target and mapper, and of `singerkit` itself.

They know a plugin class by its public face only: ``name``, ``plugin_version``, ``sdk_version``, ``capabilities``,
``settings_schema()``, its constructor and its verbs. Nothing is imported before the options ask for it.
"""
