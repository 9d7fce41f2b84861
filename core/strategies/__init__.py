"""Strategies, one file each: from a view of the market and what a person asked for to the legs of a structure. Pure."""
