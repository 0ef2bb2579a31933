"""Grading: everything of a student's runs in limited processes, and only after them is the key opened.

In the order in which they may import each other::

    plain      a student's text, made fit to be shown
    limits     what a process may use, and what it gives up before it touches a student's bytes
    reach      keep Python importable for a process that may not enter the folder it is installed in
    leftovers  end what a process left running
    messages   what a limited process reports, line by line
    limited    run a function in a limited process: its messages, what it used, how it ended
    handin     the nine files: names, rows, and whether predictions come from the parameters
    unpack     a zip archive that nobody trusts
    attempts   what a notebook defines, without the long training, and how its exercises fare
    flags      what in a notebook a grader should look at
    texts      the written answers
    parts      a submission's parameters and notebooks, each in a limited process
    job        one submission, to a plain report
    worker     a process that has torch loaded and does one job after another
    mass       many submissions, several workers; what is done is kept
    folders    submissions on disk
    scoring    reports and the key to points
    tables     results.json for Gradescope, a table for people, a CSV for many

What is and what is not prevented stands in ``limits``.
"""
