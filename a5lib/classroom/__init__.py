"""What stands around the notebooks: exercises and checks, their two editions, grading, Colab set-up.

Nothing in the rest of the library imports from here.
"""

from a5lib.classroom.checks import check

__all__ = ["check"]
