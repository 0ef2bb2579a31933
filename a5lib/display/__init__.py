"""What the notebooks show: figures (data in, figure out), widgets, and the live training curve.

Figures never train, read files or draw random numbers. Colours are Okabe and Ito's, which readers with
any colour vision can tell apart; lines differ in dash and marker too, so that greyscale works.
"""
