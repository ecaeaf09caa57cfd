"""The verbs of `singerkit`, a module each; none is imported before it is used."""
