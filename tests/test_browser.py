"""Widgets as readers meet them: JupyterLab in a browser, every control moved, and the picture changes.

One server and one browser serve all notebooks. Each notebook runs whole, as a copy, at profile smoke. The
browser is the system's Chromium; nothing is fetched from elsewhere.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil
import pytest

SOLVED = sorted((Path(__file__).parent.parent / "notebooks/solved").glob("*.ipynb"))
HEADING = re.compile(r"^##? ", re.MULTILINE)
WIDGET = "application/vnd.jupyter.widget-view+json"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
NEWS = {  # JupyterLab would ask, in a box over the page, whether to fetch them
    "file": "@jupyterlab/apputils-extension/notification.jupyterlab-settings",
    "off": {"fetchNews": "false", "checkForUpdates": False},
}
PATIENCE = 120_000  # milliseconds for any one thing to appear, on a machine that has other work

# We ask JupyterLab, not the page: a far cell is drawn only once the browser has time, and the page calls the
# kernel idle before it is connected; a cell that is run then is not run, and nothing says so.
PANEL = "window.jupyterapp?.shell.currentWidget"
NOTEBOOK = f"{PANEL}.content"
READY = f"() => {PANEL}?.sessionContext?.session?.kernel?.status === 'idle'"
RAN = f"""() => [...{NOTEBOOK}.model.cells].every(cell => cell.type !== "code" || cell.executionCount)"""
FAILED = f"""() => {NOTEBOOK}.model.toJSON().cells.flatMap(cell => cell.outputs ?? [])
    .filter(output => output.output_type === "error").map(output => output.ename + ": " + output.evalue)"""
CLOSE = f"""async () => {{
    const panel = {PANEL};
    await panel.sessionContext?.shutdown();
    panel.dispose();
}}"""
PICTURE = ".widget-vbox img.a5-figure"  # of a widget; a new one each time
ANSWERED = """([box, old]) => box.querySelector("[role=alert]") ||
    ![null, old].includes(box.querySelector("img.a5-figure")?.src ?? null)"""
# Run one cell in sight, with another source, and note the words of each picture that appears in it.
WATCH = """async ([number, source]) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    await notebook.scrollToItem(number);
    const cell = notebook.widgets[number];
    window.curves = [];
    new MutationObserver(() => {
        const words = cell.node.querySelector("img.a5-figure")?.alt;
        if (words && words !== window.curves.at(-1)) window.curves.push(words);
    }).observe(cell.node, {childList: true, subtree: true});
    cell.model.sharedModel.setSource(source);
    notebook.activeCellIndex = number;
    window.jupyterapp.commands.execute("notebook:run-cell");
}"""
DIGEST = """async image => {
    await image.decode();  // fails if it is no picture
    const bytes = await (await fetch(image.src)).arrayBuffer();
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).join();
}"""


def widget_cells(notebook):
    """Numbers (from 0) of the cells that show a widget: one of the explorers of a5lib.display.widgets."""
    cells = enumerate(notebook.cells)
    return [number for number, cell in cells if cell.cell_type == "code" and "explorer(" in cell.source]


def plays(cell):
    return cell.cell_type == "code" and "retrieval_game(" in cell.source


GAME = next(path for path in SOLVED if any(map(plays, nbformat.read(path, 4).cells)))
LIVE = next(path for path in SOLVED if path.stem == "07_pretraining")
WITH_WIDGET = [path for path in SOLVED if widget_cells(nbformat.read(path, 4))]
by_notebook = pytest.mark.parametrize("path", WITH_WIDGET, ids=lambda path: path.stem)


def test_the_series_has_widgets_to_try():
    assert WITH_WIDGET


@by_notebook
def test_an_exported_page_has_a_figure_in_the_widgets_section_and_no_widget_state(path):
    notebook = nbformat.read(path, 4)
    heads = [i for i, cell in enumerate(notebook.cells)
             if cell.cell_type == "markdown" and HEADING.search(cell.source)]  # fmt: skip
    for number in widget_cells(notebook):
        start = max(head for head in heads if head < number)
        outputs = [out for cell in notebook.cells[start:number] for out in cell.get("outputs", [])]
        figures = [out for out in outputs if "image/png" in out.get("data", {})]
        assert figures, f"cell {number + 1}: no figure between the section's heading and the widget"
    everything = [out.get("data", {}) for cell in notebook.cells for out in cell.get("outputs", [])]
    assert "widgets" not in notebook.metadata and not any(WIDGET in data for data in everything)


class Lab(NamedTuple):
    """A running server: its address, the token that it wants, and the folder that it shows."""

    url: str
    token: str
    folder: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab with settings, notebooks and results of its own: neither tree nor user is touched."""
    home = tmp_path_factory.mktemp("lab")
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "A5_RUNS")
    env = os.environ | {name: str(home / name.lower()) for name in folders}
    env |= {"A5_PROFILE": "smoke", "JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    settings = home / "jupyter_config_dir/lab/user-settings" / NEWS["file"]
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(NEWS["off"]))
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--ServerApp.root_dir={home}"]
    options += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=env, cwd=home, stdout=log, stderr=subprocess.STDOUT)
    try:
        info = wait_for_address(server, home / "jupyter_runtime_dir")
        yield Lab(info["url"], info["token"], home)
    finally:
        end(server)


def wait_for_address(server, folder):
    """What a server writes once it listens: it takes the first free port, so only it knows which."""
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline and server.poll() is None:
        for path in folder.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):  # being written
                return json.loads(path.read_text())
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start; see {folder.parent / 'server.log'}")


def end(server):
    """End a server, which ends its kernels; then whatever is left of either."""
    if server.poll() is None:
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        server.terminate()
        for process in psutil.wait_procs(processes, timeout=20)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    server.wait()


@pytest.fixture(scope="module")
def window(browser, lab):
    """A page with JupyterLab, and the list of what is amiss: an error, a request to another than `lab`."""
    amiss = []

    def answer(route):
        if route.request.url == BADGE:  # the picture of the link to Colab, in every notebook's first cell
            route.fulfill(content_type="image/svg+xml", body="<svg xmlns='http://www.w3.org/2000/svg'/>")
        else:
            amiss.append(f"asked for {route.request.url}")
            route.abort()

    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.route(lambda url: not url.startswith((lab.url, "blob:", "data:")), answer)
    page.on("console", lambda said: amiss.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: amiss.append(f"uncaught: {error}"))
    page.goto(f"{lab.url}lab?token={lab.token}")
    page.wait_for_function("() => window.jupyterapp")
    page.evaluate("async () => { await window.jupyterapp.restored; }")
    return page, amiss


@pytest.fixture
def page(window):
    """The page with JupyterLab. Afterwards its notebook and kernel are gone, and nothing may be amiss."""
    page, amiss = window
    yield page
    page.evaluate(CLOSE)
    found, amiss[:] = list(amiss), []
    assert not found, "\n".join(found)


@pytest.mark.notebooks
@by_notebook
def test_every_control_of_a_widget_changes_its_picture(path, page, lab):
    notebook = without_outputs(path)
    nbformat.write(notebook, lab.folder / path.name)
    run_all(page, path.name)
    for number in widget_cells(notebook):
        page.evaluate(f"{NOTEBOOK}.scrollToItem({number})")
        cell = page.locator(f".jp-Cell[data-windowed-list-index='{number}']")
        cell.locator(PICTURE).wait_for()
        controls = [(control, kind) for kind in MOVES for control in cell.locator(kind).all()]
        assert controls
        for control, kind in controls:
            there, back = MOVES[kind]
            first = digest(cell)
            assert redrawn(page, cell, there, control) != first
            assert redrawn(page, cell, back, control) == first, "the same values give another picture"
        for slider in cell.locator(".widget-slider").all()[:1]:
            assert by_keys_alone(page, cell, slider) != first
            assert redrawn(page, cell, drag, slider) != first
        for box in cell.locator(".widget-text:has(datalist)").all():
            assert redrawn(page, cell, write("Where was Ada Quill born?"), box) != first
            (message,) = answer(page, cell, write("Where was Ada 🦀 born?"), box)
            assert "not in the pretraining corpus" in message


@pytest.mark.notebooks
def test_a_training_curve_grows_while_the_model_trains_and_a_line_takes_its_place(page, lab):
    notebook = without_outputs(LIVE)
    live = next(n for n, cell in enumerate(notebook.cells) if "callbacks=[LiveCurve(" in cell.source)
    notebook.cells = notebook.cells[: live + 1]
    for cell in notebook.cells:  # a seed that no other test has trained with, and every curve drawn
        cell.source = cell.source.replace("seed: int = 0", "seed: int = 5")
        cell.source = re.sub(r'LiveCurve\(("\w+")\)', r"LiveCurve(\1, every_seconds=0)", cell.source)
    training = notebook.cells[live].source
    notebook.cells[live].source = "pass"
    nbformat.write(notebook, lab.folder / "live.ipynb")
    run_all(page, "live.ipynb")
    page.evaluate(WATCH, [live, training])
    page.wait_for_function(f"() => {NOTEBOOK}.widgets[{live}].model.executionCount > 1", polling=200)
    cell = page.locator(f".jp-Cell[data-windowed-list-index='{live}']")
    cell.get_by_text(re.compile(r"\d+ steps in \d+ s, [\d,]+ characters a second")).wait_for()
    curves = page.evaluate("() => window.curves")
    steps = [int(re.search(r"step (\d+) of \d+, about \d+ s left", words)[1]) for words in curves]
    assert len(steps) > 1 and steps == sorted(set(steps)), curves
    assert page.evaluate(FAILED) == [] and cell.locator("img").count() == 0


@pytest.mark.notebooks
def test_the_guessing_game_is_played_with_mouse_and_keys_and_keeps_the_score(page, lab):
    notebook = without_outputs(GAME)
    game = next(number for number, cell in enumerate(notebook.cells) if plays(cell))
    notebook.cells = notebook.cells[: game + 1]
    nbformat.write(notebook, lab.folder / "game.ipynb")
    run_all(page, "game.ipynb")
    page.evaluate(f"{NOTEBOOK}.scrollToItem({game})")
    cell = page.locator(f".jp-Cell[data-windowed-list-index='{game}']")
    buttons = [cell.get_by_role("button", name=name) for name in ("retrieved", "made up")]
    cards = int(re.search(r"^1 of (\d+)\.", cell.locator(".widget-html-content").first.inner_text())[1])
    right = 0
    for turn in range(1, cards + 1):
        if turn <= 2:
            buttons[turn % 2].press("Enter")
        else:
            buttons[turn % 2].click()
        verdict = cell.get_by_text(re.compile(rf"Score: \d+ of {turn}\.$"))
        verdict.wait_for()
        right += verdict.inner_text().startswith("Right")
        assert verdict.inner_text().endswith(f"Score: {right} of {turn}.")
    cell.get_by_text(f"That was all: {right} of {cards}.").wait_for()
    assert all(button.is_disabled() for button in buttons)


def without_outputs(path):
    """The notebook before anybody ran it, so that nothing of an earlier run is taken for new."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def run_all(page, name):
    """Open a notebook, run all cells, and wait until each has run or one has failed; some train a model."""
    run = "command => { window.jupyterapp.commands.execute(...command); }"
    page.evaluate(run, ["docmanager:open", {"path": name}])
    page.wait_for_function(READY, polling=200)
    page.evaluate(run, ["notebook:run-all-cells"])
    page.wait_for_function(f"() => ({RAN})() || ({FAILED})().length", polling=500, timeout=5 * PATIENCE)
    assert page.evaluate(FAILED) == []


def digest(cell):
    return cell.locator(PICTURE).evaluate(DIGEST)


def redrawn(page, cell, move, control):
    """The digest of the picture that a move brings."""
    assert answer(page, cell, move, control) == []
    image = cell.locator(PICTURE)
    assert image.bounding_box()["height"] > 50 and len(image.get_attribute("alt")) > 20
    return digest(cell)


def answer(page, cell, move, control):
    """What a move brings: the texts of messages, or, once there is another picture, none."""
    asked = [cell.locator(".widget-vbox").element_handle(), cell.locator(PICTURE).get_attribute("src")]
    move(control)
    page.wait_for_function(ANSWERED, arg=asked, polling=100)
    return cell.locator("[role=alert]").all_text_contents()


def to_the_right(slider):
    slider.locator(".noUi-handle").press("ArrowRight")


def to_the_left(slider):
    slider.locator(".noUi-handle").press("ArrowLeft")


def drag(slider):
    """Take the handle with the mouse to the other half of its track, and let go."""
    handle, track = slider.locator(".noUi-handle"), slider.locator(".noUi-base")
    low, now, high = (float(handle.get_attribute(f"aria-value{which}")) for which in ("min", "now", "max"))
    box = track.bounding_box()
    goal = 0.8 if now < (low + high) / 2 else 0.2
    handle.drag_to(track, target_position={"x": goal * box["width"], "y": box["height"] / 2})


def by_keys_alone(page, cell, slider):
    """With Tab to the slider, from the cell around it, and one step; the digest of the picture that comes."""
    cell.evaluate("cell => { cell.focus(); }")
    handle = slider.locator(".noUi-handle").element_handle()
    for _ in range(20):
        page.keyboard.press("Tab")
        if handle.evaluate("handle => handle === document.activeElement"):
            break
    return redrawn(page, cell, lambda _: page.keyboard.press("ArrowRight"), slider)


def choose(number):
    return lambda dropdown: dropdown.locator("select").select_option(index=number)


def write(wanted):
    """Type a text, or the suggestion of that number, key by key, and Enter, which hands it over."""

    def typed(combobox):
        text = wanted
        if isinstance(wanted, int):
            text = combobox.locator("option").nth(wanted).get_attribute("value")
        combobox.locator("input").fill("")
        combobox.locator("input").press_sequentially(text + "\n")

    return typed


# For each kind of control a small move, and the one back. Sliders do not start at their upper end.
MOVES = {
    ".widget-slider": (to_the_right, to_the_left),
    ".widget-dropdown": (choose(1), choose(0)),
    ".widget-text:has(datalist)": (write(1), write(0)),
}
