"""Regions: parts of a frame in another style (`streamstyle.types.Region`)."""
