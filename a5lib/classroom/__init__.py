"""What stands around the notebooks: exercises and checks, their two editions, grading, Colab set-up.

Nothing in the rest of the library imports from here.
"""

from a5lib.classroom.progress import assess, check, points_so_far

__all__ = ["assess", "check", "points_so_far"]
