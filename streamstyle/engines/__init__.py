"""Engines: the compiled generator behind one small protocol (`streamstyle.types.Engine`)."""
