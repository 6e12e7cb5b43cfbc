"""From settings to a run: the only room that knows every other."""
