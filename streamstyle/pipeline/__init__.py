"""The way from settings to a run: the only room that knows every other."""
