"""Regions: where in a frame another style holds (`streamstyle.types.Region`)."""
