"""Grading: everything of a student's runs in limited processes, and only after them is the key opened.

In the order in which they may import each other::

    limits     what a process may use, and what it gives up before it touches a student's bytes
    reach      keep Python importable for a process that may not enter the folder it is installed in
    limited    run a function in such a process: its messages, its time, how it ended
    unpack     a zip archive that nobody trusts
    handin     the nine files: names, rows, and whether predictions come from the parameters
    attempts   what a notebook defines, without the long training, and how its exercises fare
    flags      what in a notebook a grader should look at
    texts      the written answers
    job        one submission, in limited processes, to a plain report
    worker     a process that has torch loaded and does one job after another
    mass       many submissions, several workers; what is done is kept
    scoring    reports and the key to points
    tables     results.json for Gradescope, a table for people, a CSV for many
    folders    submissions on disk

What is and what is not prevented stands in ``limits``.
"""
