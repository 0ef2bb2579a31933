"""Build the autograder that Gradescope wants: one zip with everything in it, key and data included.

    python -m a5lib.classroom.gradescope --key kept/key.tsv --data term --out autograder.zip

Upload it under *Configure Autograder* (Ubuntu 22.04 or newer). `setup.sh` runs once, as root, when the image
is built, and installs torch for CPUs; `run_autograder` runs for each submission. Both find their folders
below `$A5_AUTOGRADER`, which is `/autograder` where it is not set; `$A5_PYTHON` names another Python.
"""

import argparse
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from a5lib.classroom.grading.scoring import read_key
from a5lib.corpus import DEV, TEST, TRAIN, WIKI, Corpus
from a5lib.errors import InputError, run_command
from a5lib.files import atomic_path
from a5lib.recipes import choose_profile

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "numpy", "matplotlib")

SETUP = """\
#!/usr/bin/env bash
# Runs once, as root, when the image is built.
set -euo pipefail
root="${A5_AUTOGRADER:-/autograder}"

apt-get update
python=""
for version in 3.13 3.12 3.11; do
    if apt-get install -y --no-install-recommends "python$version" "python$version-venv"; then
        python="python$version"
        break
    fi
done
[ -n "$python" ] || { echo "no Python from 3.11 on: choose a newer base image"; exit 1; }
"$python" -m venv "$root/venv"
"$root/venv/bin/python" -m pip install --no-cache-dir \\
    --extra-index-url https://download.pytorch.org/whl/cpu --requirement "$root/source/requirements.txt"
chmod -R go-rwx "$root/source/key"
chmod 755 "$root/source/run_autograder"
"""

RUN = """\
#!/usr/bin/env bash
# Runs for each submission; writes results/results.json, whatever happens.
set -uo pipefail
root="${A5_AUTOGRADER:-/autograder}"
python="${A5_PYTHON:-$root/venv/bin/python}"
results="$root/results/results.json"

mkdir -p "$root/results"
rm -f "$results"
chmod -R go-rwx "$root/source/key"
cd "$root" || exit 1
PYTHONPATH="$root/source" PYTHONSAFEPATH=1 "$python" -m a5lib.classroom.grade "$root/submission" \\
    --key "$root/source/key/key.tsv" --data "$root/source/term" --results "$results"
if [ ! -s "$results" ]; then
    echo '{"score": 0, "output": "The grader failed; the staff will run it again."}' > "$results"
fi
"""


def requirements(text: str) -> str:
    """The lines of a requirements file that grading needs, torch in its build for CPUs.

    Raises:
        InputError: one is missing.
    """
    found = {name: re.search(rf"(?m)^{name}==([^\s+;]+)", text) for name in PACKAGES}
    for name, match in found.items():
        if match is None:
            raise InputError(f"requirements.txt: has no line {name}==…")
    versions = {name: match[1] + ("+cpu" if name == "torch" else "") for name, match in found.items()}
    return "".join(f"{name}=={version}\n" for name, version in versions.items())


def members(key: Path, data: Path, root: Path = ROOT) -> dict[str, tuple[bytes, int]]:
    """Each member of the autograder by name: its content, and its rights.

    Raises:
        InputError: the key does not fit the data, or a file is missing.
    """
    corpus = Corpus(data)
    read_key(key, corpus.test)
    found = {
        "setup.sh": (SETUP.encode(), 0o755),
        "run_autograder": (RUN.encode(), 0o755),
        "requirements.txt": (requirements((root / "requirements.txt").read_text("utf-8")).encode(), 0o644),
        "key/key.tsv": (key.read_bytes(), 0o600),
    }
    for name in (WIKI, TRAIN, DEV, TEST):
        found[f"term/{name}"] = (corpus.path(name).read_bytes(), 0o644)
    sources = sorted((root / "a5lib").rglob("*.py")) + sorted((root / "notebooks").glob("*.ipynb"))
    for path in sources:
        found[path.relative_to(root).as_posix()] = (path.read_bytes(), 0o644)
    return found


def build(key: Path, data: Path, out: Path, root: Path = ROOT) -> int:
    """Write the autograder's zip, the same bytes for the same input; returns the number of its members."""
    contents = members(key, data, root)
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (content, rights) in contents.items():
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3
            member.external_attr = (0o100000 | rights) << 16
            archive.writestr(member, content)
    out.chmod(0o600)  # it holds the key
    return len(contents)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Raises InputError for a key or data that do not fit."""
    parser = argparse.ArgumentParser(
        prog="python -m a5lib.classroom.gradescope", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--key", type=Path, required=True, help="answers to the test questions (TSV)")
    parser.add_argument("--data", type=Path, help="the students' data (default: the profile's)")
    parser.add_argument("--out", type=Path, default=Path("autograder.zip"))
    args = parser.parse_args(argv)
    count = build(args.key, args.data or choose_profile().folder, args.out)
    print(f"{args.out}: {count} files; it holds the key, so hand it to nobody but Gradescope")
    return 0


if __name__ == "__main__":
    run_command(main)
