"""The command line as the assignment writes it: end to end, interrupted, and with all that can be wrong."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import tiny_model

from a5lib import run
from a5lib.checkpoint import info_path, load_state, save_params
from a5lib.corpus import read_text
from a5lib.errors import InputError, run_command
from a5lib.run_state import state_folder
from a5lib.vocab import CharVocab

CPU = {"A5_PROFILE": "smoke", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

# The handout's commands word for word, `src/run.py` become `-m a5lib.run`.
SEQUENCE = """
finetune vanilla wiki.txt --writing_params_path vanilla.model.params
    --finetune_corpus_path birth_places_train.tsv
evaluate vanilla wiki.txt --reading_params_path vanilla.model.params
    --eval_corpus_path birth_dev.tsv --outputs_path vanilla.nopretrain.dev.predictions
evaluate vanilla wiki.txt --reading_params_path vanilla.model.params
    --eval_corpus_path birth_test_inputs.tsv --outputs_path vanilla.nopretrain.test.predictions
pretrain vanilla wiki.txt --writing_params_path vanilla.pretrain.params
finetune vanilla wiki.txt --reading_params_path vanilla.pretrain.params
    --writing_params_path vanilla.finetune.params --finetune_corpus_path birth_places_train.tsv
evaluate vanilla wiki.txt --reading_params_path vanilla.finetune.params
    --eval_corpus_path birth_dev.tsv --outputs_path vanilla.pretrain.dev.predictions
evaluate vanilla wiki.txt --reading_params_path vanilla.finetune.params
    --eval_corpus_path birth_test_inputs.tsv --outputs_path vanilla.pretrain.test.predictions
pretrain perceiver wiki.txt --bottleneck_dim 64
    --pretrain_lr 6e-3 --writing_params_path perceiver.pretrain.params
finetune perceiver wiki.txt --bottleneck_dim 64
    --reading_params_path perceiver.pretrain.params --writing_params_path perceiver.finetune.params
    --finetune_corpus_path birth_places_train.tsv
evaluate perceiver wiki.txt --bottleneck_dim 64
    --reading_params_path perceiver.finetune.params --eval_corpus_path birth_dev.tsv
    --outputs_path perceiver.pretrain.dev.predictions
evaluate perceiver wiki.txt --bottleneck_dim 64
    --reading_params_path perceiver.finetune.params --eval_corpus_path birth_test_inputs.tsv
    --outputs_path perceiver.pretrain.test.predictions
"""
COMMANDS = [" ".join(command.split()) for command in SEQUENCE.replace("\n    ", " ").strip().split("\n")]
SUBMISSION = """vanilla.model.params vanilla.finetune.params perceiver.finetune.params
    vanilla.nopretrain.dev.predictions vanilla.nopretrain.test.predictions
    vanilla.pretrain.dev.predictions vanilla.pretrain.test.predictions
    perceiver.pretrain.dev.predictions perceiver.pretrain.test.predictions"""


@pytest.fixture(autouse=True)
def smoke(monkeypatch):
    for name, value in CPU.items():
        monkeypatch.setenv(name, value)


def main(command: str) -> None:
    assert run.main(shlex.split(command)) == 0


def in_a_process(command: str) -> subprocess.CompletedProcess:
    argv = [sys.executable, *shlex.split(command)]
    return subprocess.run(argv, env=os.environ | CPU, capture_output=True, text=True)


def short(command: str, max_epochs: float) -> str:
    return command if command.startswith("evaluate") else f"{command} --max_epochs {max_epochs}"


def test_the_handouts_commands_word_for_word(tmp_path, monkeypatch, capsys):
    """On the embedded corpus, found though it is not in the working directory."""
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 11
    for command in COMMANDS:
        main(short(command, 0.03))
    assert all((tmp_path / name).stat().st_size for name in SUBMISSION.split())
    rows = {"dev": 150, "test": 90}  # of data/quick
    for path in tmp_path.glob("*.predictions"):
        assert path.read_text("utf-8").count("\n") == rows[path.suffixes[-2][1:]]
    out = capsys.readouterr().out
    assert out.count("Correct: ") == 3 and out.count(" out of 150: ") == 3 and out.count("no score") == 3
    events = {str(p.parent.relative_to(tmp_path)) for p in tmp_path.rglob("events.out.tfevents.*")}
    assert events == {f"expt/run/{f}_{v}" for f in ("pretrain", "finetune") for v in ("vanilla", "perceiver")}
    assert not list(tmp_path.glob("*.state")) and not list(tmp_path.glob(".*"))


def test_tensorboard_has_the_handouts_scalars(corpus_folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    main("pretrain vanilla wiki.txt --writing_params_path p --max_epochs 3 --tb_expt_name mine")
    events = EventAccumulator("expt/mine/pretrain_vanilla").Reload()
    assert sorted(events.Tags()["scalars"]) == ["train/loss", "train/lr"]
    assert [e.step for e in events.Scalars("train/loss")] == [1, 2, 3]


def test_the_commands_from_a_shell(corpus_folder):
    """The way in by `python -m`, its exit codes, and an error that is one line and no traceback."""
    train = in_a_process(f"-m a5lib.run {COMMANDS[0]} --max_epochs 1")
    assert train.returncode == 0 and train.stdout.startswith("vanilla.model.params: 1 steps"), train.stderr
    bad = in_a_process(f"-m a5lib.run {COMMANDS[0]} --max_epochs 0")
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (2, "", 1)
    assert bad.stderr.startswith("error: max_epochs 0.0")
    baseline = in_a_process("-m a5lib.london_baseline birth_dev.tsv")
    assert baseline.stdout == "Correct: 1 out of 3: 33.33%\n"


def test_a_command_run_again_gives_the_same_bytes(corpus_folder):
    command = "pretrain perceiver wiki.txt --bottleneck_dim 8 --max_epochs 2 --writing_params_path"
    main(f"{command} a.params")
    main(f"{command} b.params")
    main(f"{command} c.params --seed 1")
    assert Path("a.params").read_bytes() == Path("b.params").read_bytes() != Path("c.params").read_bytes()
    assert info_path("a.params").read_bytes() == info_path("b.params").read_bytes()


def test_perceiver_ar_with_fewer_latents_than_characters(corpus_folder):
    common = "perceiver_ar wiki.txt --bottleneck_dim 8"
    main(f"pretrain {common} --max_epochs 2 --writing_params_path p")
    tuning = "--finetune_corpus_path birth_places_train.tsv --reading_params_path p --writing_params_path f"
    main(f"finetune {common} --max_epochs 1 {tuning}")
    main(f"evaluate {common} --reading_params_path f --eval_corpus_path birth_dev.tsv --outputs_path o")
    assert Path("o").read_text("utf-8").count("\n") == 3
    state = load_state("f")
    assert "down_block.C" not in state and state["blocks.1.attn.mask"].shape[-1] == 8


def test_finetuning_starts_from_what_was_read(corpus_folder):
    """Pretrained parameters that are not loaded: the mistake that costs a night."""
    main("pretrain vanilla wiki.txt --writing_params_path p --max_epochs 3")
    tiny = "finetune vanilla wiki.txt --finetune_corpus_path birth_places_train.tsv --finetune_lr 1e-12"
    main(f"{tiny} --reading_params_path p --writing_params_path f")
    main(f"{tiny} --writing_params_path scratch")
    p, f, scratch = (load_state(name) for name in ("p", "f", "scratch"))
    torch.testing.assert_close(f, p, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(scratch["head.weight"], p["head.weight"], atol=1e-3)


def test_a_models_shape_comes_from_its_file(corpus_folder):
    """`--profile` says how to train; a file of another size is evaluated and finetuned as what it is."""
    vocab = CharVocab(read_text(Path("wiki.txt")))
    save_params(tiny_model("perceiver", vocab_size=len(vocab), block_size=64), "odd.params")
    evaluate = "evaluate perceiver wiki.txt --eval_corpus_path birth_dev.tsv --outputs_path o"
    main(f"{evaluate} --reading_params_path odd.params")
    finetune = "finetune perceiver wiki.txt --finetune_corpus_path birth_places_train.tsv --max_epochs 1"
    main(f"{finetune} --reading_params_path odd.params --writing_params_path f.params")
    assert load_state("f.params")["down_block.C"].shape == (1, 5, 8)


def test_the_handout_recipe_is_its_shape_and_stops_early_on_smoke(corpus_folder, capsys):
    """Finetuning under it drops non-ASCII characters: `Łódź` becomes `d`."""
    main("pretrain perceiver wiki.txt --recipe handout --writing_params_path p")
    assert "p: 3 steps" in capsys.readouterr().out
    state = load_state("p")
    assert state["pos_emb"].shape == (1, 128, 256) and state["down_block.C"].shape == (1, 32, 256)
    assert len({n.split(".")[1] for n in state if n.startswith("blocks.")}) == 2


# Interrupted.

LONG = "pretrain vanilla wiki.txt --max_epochs 80 --save_seconds 0 --writing_params_path"


def test_sigterm_saves_and_the_next_start_ends_like_an_undisturbed_run(corpus_folder, capfd):
    """A grader's time limit, a laptop's lid: the same command again goes on, to the same bytes."""
    argv = [sys.executable, "-m", "a5lib.run", *shlex.split(f"{LONG} p.params")]
    process = subprocess.Popen(argv, env=os.environ | CPU, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (state_folder("p.params") / "b.state").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(3):  # impatience changes nothing
        process.send_signal(signal.SIGTERM)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and stderr.rstrip().endswith("stopped"), stderr
    assert not Path("p.params").exists()
    assert stderr.count("stopping: the step under way is ended and the state saved") == 1

    with pytest.raises(InputError, match="saved with seed = 0, this run has 1.*--resume never"):
        main(f"{LONG} p.params --seed 1")
    with pytest.raises(InputError, match="saved with profile = 'smoke', this run has 'quick'"):
        main(f"{LONG} p.params --profile quick --recipe fast")
    main(f"{LONG} p.params")
    assert 2 <= int(re.search(r"going on from step (\d+)", capfd.readouterr().err)[1]) < 80
    main(f"{LONG} whole.params --save_seconds 120")
    assert Path("p.params").read_bytes() == Path("whole.params").read_bytes()
    assert not state_folder("p.params").exists()


def test_never_resume_begins_anew(corpus_folder, monkeypatch):
    def stop(trainer):
        if trainer.step == 2:
            raise KeyboardInterrupt

    command = LONG.replace("80", "4") + " p.params"
    with monkeypatch.context() as patch:
        patch.setattr(run, "TensorBoard", lambda folder: stop)
        with pytest.raises(KeyboardInterrupt):
            main(command)
    assert state_folder("p.params").exists()
    main(f"{command} --resume never --seed 5")
    main(LONG.replace("80", "4") + " q.params --seed 5")
    assert Path("p.params").read_bytes() == Path("q.params").read_bytes()


def test_signal_handlers_are_put_back(corpus_folder):
    """In a notebook, the stop button must work after a run as before it."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    main("pretrain vanilla wiki.txt --max_epochs 1 --writing_params_path p")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# Bad input.


class Evil:
    def __reduce__(self):
        return os.mkdir, ("it_ran",)


@pytest.fixture
def bad_files(corpus_folder):
    """Beside the tiny corpus: models that fit it and models that do not, and files with one thing wrong."""
    vocab = CharVocab(read_text(Path("wiki.txt")))
    shape = {"vocab_size": len(vocab), "block_size": 64}
    save_params(tiny_model(**shape), "good.params", characters="".join(vocab.characters))
    save_params(tiny_model("perceiver", **shape), "perceiver.params")
    save_params(tiny_model(**shape | {"vocab_size": 20}), "vocabulary.params")
    save_params(tiny_model(**shape), "letters.params", characters="".join([*vocab.characters[:-1], "Ж"]))
    save_params(tiny_model(**shape, n_embd=16), "size.params")
    shutil.copy(info_path("good.params"), info_path("size.params"))
    torch.save({"tok_emb.weight": Evil()}, "evil.params")
    Path("cut.params").write_bytes(Path("good.params").read_bytes()[:2000])
    question = "Where was Ana Bell born?"
    for name, text in {
        "notab.tsv": f"{question} Oslo\n",
        "three.tsv": f"{question}\tOslo\tx\n",
        "odd.tsv": f"{question}\tOslo\nWhere was Ж born?\tOslo\n",
        "long.tsv": f"{question * 8}\tOslo\n",
        "empty.txt": "\n\n",
        "mask.txt": "one\ntwo ⁇\n",
        "pad.txt": "one □\n",
    }.items():
        Path(name).write_text(text, encoding="utf-8")
    Path("latin.txt").write_bytes("first\ncafé\n".encode("latin-1"))
    Path("folder").mkdir()
    return corpus_folder


EVALUATE = (
    "evaluate vanilla wiki.txt --outputs_path out --eval_corpus_path birth_dev.tsv --reading_params_path"
)
EVALUATE_PERCEIVER = EVALUATE.replace("vanilla", "perceiver")
ASK = "evaluate vanilla wiki.txt --outputs_path out --reading_params_path good.params --eval_corpus_path"
PRETRAIN = "pretrain vanilla wiki.txt --writing_params_path new/out"
PERCEIVER = PRETRAIN.replace("vanilla", "perceiver")
FINETUNE = "finetune vanilla wiki.txt --writing_params_path out --finetune_corpus_path"
BAD = [
    (PRETRAIN.replace("wiki.txt", "absent.txt"), "absent.txt: no such file"),
    (PRETRAIN.replace("wiki.txt", "folder"), "folder: is a folder"),
    (PRETRAIN.replace("wiki.txt", "empty.txt"), "empty.txt: holds no document"),
    (PRETRAIN.replace("wiki.txt", "latin.txt"), "latin.txt, row 2: not UTF-8"),
    (PRETRAIN.replace("wiki.txt", "mask.txt"), "mask.txt, row 2: holds the reserved character '⁇'"),
    (PRETRAIN.replace("wiki.txt", "pad.txt"), "pad.txt, row 1: holds the reserved character '□'"),
    (PRETRAIN.replace("new/out", "wiki.txt/out"), "wiki.txt/out: cannot be written"),
    (PRETRAIN.replace("new/out", "folder"), "folder: is a folder"),
    (PRETRAIN.replace(" --writing_params_path new/out", ""), "needs --writing_params_path"),
    (PRETRAIN.replace("vanilla", "synth"), "invalid choice: 'synth'"),
    (f"{PRETRAIN} --recipe slow", "invalid choice: 'slow'"),
    (f"{PRETRAIN} --profile huge", "invalid choice: 'huge'"),
    (f"{PRETRAIN} --pretrain_lr -1", "--pretrain_lr -1.0: must be above 0"),
    (f"{PRETRAIN} --finetune_lr nan", "--finetune_lr nan: must be above 0"),
    (f"{PRETRAIN} --pretrain_lr fast", "invalid float value: 'fast'"),
    (f"{PRETRAIN} --max_epochs 0", "max_epochs 0.0: must be"),
    (f"{PRETRAIN} --max_epochs nan", "max_epochs nan: must be"),
    (f"{PRETRAIN} --max_epochs inf", "max_epochs inf: must be"),
    (f"{PRETRAIN} --seed -1", "seed -1: must be a whole number from 0 to 4294967295"),
    (f"{PRETRAIN} --seed 99999999999999999999", "seed 99999999999999999999: must be a whole number"),
    (f"{PRETRAIN} --seed 1.5", "invalid int value: '1.5'"),
    (f"{PRETRAIN} --device abacus", "--device abacus: not on this machine"),
    (f"{PRETRAIN} --reading_params_path absent.params", "absent.params: no such file"),
    (f"{PERCEIVER} --bottleneck_dim 128", "bottleneck_dim 128: must be at least 1 and smaller"),
    (f"{PERCEIVER} --bottleneck_dim 0", "bottleneck_dim 0: must be at least 1"),
    (f"{PERCEIVER} --bottleneck_dim -4", "bottleneck_dim -4: must be at least 1"),
    (f"{FINETUNE} absent.tsv", "absent.tsv: no such file"),
    (f"{FINETUNE} notab.tsv", "notab.tsv, row 1: 1 column(s) where 2 should be"),
    (f"{FINETUNE} three.tsv", "three.tsv, row 1: 3 column(s) where 2 should be"),
    (f"{FINETUNE} odd.tsv", "odd.tsv, row 2: 'Where was Ж born?⁇Oslo⁇"),
    (f"{FINETUNE} long.tsv", "long.tsv, row 1: "),
    (f"{FINETUNE} birth_test_inputs.tsv", "row 1: 1 column(s)"),
    (f"{ASK} three.tsv", "three.tsv, row 1: 3 column(s)"),
    (f"{ASK} odd.tsv", "odd.tsv, row 2: 'Where was Ж born?⁇': character 'Ж' at position 10 is not in"),
    (f"{ASK} long.tsv", "192 characters, too long for the model's block of 64"),
    (f"{ASK} folder", "folder: is a folder"),
    (f"{ASK} birth_dev.tsv --outputs_path birth_dev.tsv", "birth_dev.tsv: is also read in this run"),
    (f"{ASK} birth_dev.tsv --outputs_path wiki.txt/out", "wiki.txt/out: cannot be written"),
    (f"{EVALUATE} folder", "folder: no such file"),
    (f"{EVALUATE} wiki.txt", "wiki.txt: no parameters file"),
    (f"{EVALUATE} evil.params", "evil.params: no parameters file, or one with code in it"),
    (f"{EVALUATE} cut.params", "cut.params: damaged"),
    (f"{EVALUATE} perceiver.params", "holds a perceiver model, not a vanilla"),
    (f"{EVALUATE} vocabulary.params", "knows 20 characters, the corpus has"),
    (f"{EVALUATE} letters.params", "learned other characters"),
    (f"{EVALUATE} size.params", "another size"),
    (f"{EVALUATE_PERCEIVER} good.params", "holds a vanilla model, not a perceiver"),
    (
        f"{EVALUATE_PERCEIVER} perceiver.params --bottleneck_dim 6",
        "has 5 latents, --bottleneck_dim asks for 6",
    ),
    ("", "the following arguments are required"),
    ("train vanilla wiki.txt", "invalid choice: 'train'"),
]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def refused(command: str, capsys) -> str:
    """The one line that a command ends with; it has written nothing."""
    before = snapshot(Path.cwd())
    with pytest.raises(SystemExit) as exit_code:
        run_command(lambda: run.main(shlex.split(command)))
    out, err = capsys.readouterr()
    assert exit_code.value.code == 2 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and err.endswith("\n"), err
    assert snapshot(Path.cwd()) == before
    return err


@pytest.mark.parametrize(
    ("command", "says"), BAD, ids=[f"{i}:{says[:40]}" for i, (_, says) in enumerate(BAD)]
)
def test_bad_input_is_one_clear_line_and_nothing_is_written(bad_files, capsys, command, says):
    assert says in refused(command, capsys)


def test_an_unknown_profile_in_the_environment(bad_files, capsys, monkeypatch):
    monkeypatch.setenv("A5_PROFILE", "enormous")
    assert "profile 'enormous': there are smoke, quick, full" in refused(PRETRAIN, capsys)


def test_good_files_of_the_bad_ones_pass(bad_files):
    """The fixture itself: what is refused above is refused for the reason given."""
    main(f"{EVALUATE} good.params")
    main(f"{EVALUATE_PERCEIVER} perceiver.params --bottleneck_dim 5")
    assert Path("out").read_text("utf-8").count("\n") == 3
