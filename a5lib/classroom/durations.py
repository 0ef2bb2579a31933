"""How long the machine works on each notebook: the one place of these measurements.

Minutes at the profile that such a machine chooses by itself: `quick` on two CPU cores, `full` on a GPU.
A figure stands here only if it was measured: `make series` writes seconds by notebook to `report.json`.
The set-up cells and the README's table take it from here.
"""

# After the notebooks before it in the series, whose models it finds.
MINUTES = {
    "cpu": {
        "01_copying": 0.2,
        "02_averaging": 0.2,
        "03_sampled_keys": 0.2,
        "04_char_gpt": 1.0,
        "05_birthplaces": 0.6,
        "06_span_corruption": 0.1,
        "07_pretraining": 2.6,
        "08_finetuning": 0.6,
        "09_perceiver": 6.6,
        "10_retrieved_or_made_up": 0.3,
        "11_variants": 0.4,
    },
    "cuda": {},
}  # fmt: skip
CHOSEN = {"cpu": "quick", "cuda": "full"}
# Whose models it uses; opened alone, it makes them first.
NEEDS = {
    "08_finetuning": ("05_birthplaces", "07_pretraining"),
    "09_perceiver": ("07_pretraining", "08_finetuning"),
    "10_retrieved_or_made_up": ("05_birthplaces", "07_pretraining", "08_finetuning"),
}


def how_long(notebook: str, device: str, profile: str) -> str:
    """One sentence on how long `notebook` keeps the machine busy, for its set-up cell.

    Args:
        notebook: a name, such as `05_birthplaces`.
        device: `cpu` or `cuda`.
    """
    if profile == "smoke":
        return "The machine works at most a minute on this notebook."
    measured = MINUTES[device] if CHOSEN[device] == profile else {}
    if notebook not in measured:
        kind = "a GPU" if device == "cuda" else "a CPU"
        return f"How long this notebook takes at profile {profile} on {kind} has not been measured yet."
    sentence = f"The machine works about {span(measured[notebook])} on this notebook"
    more = minutes_alone(notebook, device)
    if more:
        names = " and ".join(name[:2] for name in NEEDS[notebook])
        sentence += f", and {span(more)} more if it has to make the models of {names} first"
    return f"{sentence}."


def minutes_alone(notebook: str, device: str) -> float:
    """What is added if the notebook has to make other notebooks' models first; 0 where it is not known."""
    measured, needed = MINUTES[device], NEEDS.get(notebook, ())
    return sum(measured[name] for name in needed) if all(name in measured for name in needed) else 0.0


def span(minutes: float) -> str:
    """Minutes in words."""
    if minutes < 1:
        return f"{max(1, round(minutes * 6)) * 10} seconds"
    return "a minute" if round(minutes) == 1 else f"{round(minutes)} minutes"
