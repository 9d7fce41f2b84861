"""The rules of the gate, one file each. A file is found by its name; adding one touches nothing else.

A rule has NAME (its file's), CLASS ("hard", "soft" or "advisory"), PARAMETERS (settings with defaults), `judge(exam, parameters)` and,
where it must hold for orders that reduce risk too, ON_REDUCING = True. What it cannot know raises `Unavailable`, which blocks.
"""
