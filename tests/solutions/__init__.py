"""Right answers to the exercises in several styles, and wrong ones that people give: a module a notebook.

`RIGHT[name]` is a list of at least three; `WRONG` has rows (name, attempt, what the check must say). More
wrong ones stand with the tests of each notebook.
"""
