"""The command line of the assignment: pretrain, finetune, evaluate.

    python -m a5lib.run pretrain vanilla wiki.txt --writing_params_path vanilla.pretrain.params
    python -m a5lib.run finetune vanilla wiki.txt --reading_params_path vanilla.pretrain.params \\
           --writing_params_path vanilla.finetune.params --finetune_corpus_path birth_places_train.tsv
    python -m a5lib.run evaluate vanilla wiki.txt --reading_params_path vanilla.finetune.params \\
           --eval_corpus_path birth_dev.tsv --outputs_path vanilla.pretrain.dev.predictions

The corpus always comes third: it defines the vocabulary. A data file that is not in the working
directory is looked up in the profile's data folder. Everything is checked before any long work begins.

Several processes train together under `torchrun --nproc_per_node=N -m a5lib.run …`; the first one writes.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from a5lib.callbacks import ProgressBar, TensorBoard
from a5lib.checkpoint import load_model
from a5lib.corpus import find_file, read_questions, read_text, split_documents
from a5lib.errors import InputError, Parser, run_command
from a5lib.evaluation import evaluate_places
from a5lib.files import require_writable, write_text
from a5lib.model import GPT, VARIANTS
from a5lib.pipeline import (
    SAVE_SECONDS,
    default_device,
    finetuning,
    new_model,
    pretraining,
    run_to_file,
    sha256,
)
from a5lib.ranks import RankLost, device_of_this_rank, joined, ranks_of_this_job
from a5lib.recipes import (
    HANDOUT_FINETUNE_LR,
    HANDOUT_PRETRAIN_LR,
    PROFILES,
    RECIPES,
    Recipe,
    choose_profile,
    choose_recipe,
    with_rates,
)
from a5lib.run_state import OtherRun
from a5lib.trainer import LossNotFinite, Trainer
from a5lib.vocab import CharVocab

DEFAULT_BOTTLENECK = 32  # the handout's
SECONDS_TO_SPEAK = 20  # for the first of several processes: torchrun ends all as soon as one has ended


def parser() -> Parser:
    """The handout's flags, and ours after them."""
    p = Parser(prog="python -m a5lib.run", description="Pretrain, finetune and evaluate a character GPT.")
    p.add_argument("function", choices=("pretrain", "finetune", "evaluate"))
    p.add_argument("variant", choices=VARIANTS)
    p.add_argument("pretrain_corpus_path", help="the corpus; it defines the vocabulary, in finetuning too")
    p.add_argument("--reading_params_path", help="parameters to start from, or to evaluate")
    p.add_argument("--writing_params_path", help="where the trained parameters go")
    p.add_argument("--finetune_corpus_path", help="questions and places to finetune on")
    p.add_argument("--eval_corpus_path", help="questions, with places or without")
    p.add_argument("--outputs_path", help="where the predictions go, one a line")
    p.add_argument("--pretrain_lr", type=float, default=HANDOUT_PRETRAIN_LR)
    p.add_argument("--finetune_lr", type=float, default=HANDOUT_FINETUNE_LR)
    p.add_argument(
        "--bottleneck_dim", type=int, help=f"latents of a perceiver (default {DEFAULT_BOTTLENECK})"
    )
    p.add_argument("--tb_expt_name", default="run", help="folder of the TensorBoard scalars, under expt/")
    p.add_argument("--recipe", choices=RECIPES, default="fast")
    p.add_argument("--profile", choices=PROFILES, help="default: $A5_PROFILE, else full (GPU) or quick")
    p.add_argument("--max_epochs", type=float, help="passes over the data, instead of the recipe's")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default=None, help="cpu or cuda (default: what there is)")
    p.add_argument("--save_seconds", type=float, default=SAVE_SECONDS, help="how often to save the state")
    p.add_argument(
        "--resume", choices=("auto", "never"), default="auto", help="take up an interrupted run, or not"
    )
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the three functions; of several processes only the first says what is wrong.

    Raises:
        InputError: anything wrong with the arguments or the files; nothing has been written then.
    """
    try:
        return _main(argv)
    except RankLost:
        raise
    except InputError:
        if not ranks_of_this_job().first:
            time.sleep(SECONDS_TO_SPEAK)
            sys.exit(2)
        raise
    except KeyboardInterrupt:
        if not ranks_of_this_job().first:
            sys.exit(130)
        raise


def _main(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    args.device = args.device or default_device()
    args.profile = choose_profile(args.profile or "")
    _require_flags(args)
    args.corpus_file = find_file(args.pretrain_corpus_path, args.profile.folder)
    args.corpus = read_text(args.corpus_file)
    args.documents = split_documents(args.corpus)
    if not args.documents:
        raise InputError(f"{args.pretrain_corpus_path}: holds no document; one biography a line is expected")
    args.vocab = CharVocab(args.corpus)
    args.ranks = ranks_of_this_job()
    args.device = device_of_this_rank(args.device)
    if args.function == "evaluate":
        if args.ranks.first:  # quick enough for one
            evaluate(args)
        return 0
    with joined(args.ranks, args.device):
        {"pretrain": pretrain, "finetune": finetune}[args.function](args)
    return 0


REQUIRED = {
    "pretrain": ("writing_params_path",),
    "finetune": ("writing_params_path", "finetune_corpus_path"),
    "evaluate": ("reading_params_path", "eval_corpus_path", "outputs_path"),
}


def _require_flags(args: argparse.Namespace) -> None:
    for name, value in vars(args).items():
        if isinstance(value, str) and ("\0" in value or value.encode(errors="replace").decode() != value):
            raise InputError(f"{name} {value!r}: holds a character that no name can have; give another")
    for name in REQUIRED[args.function]:
        if not getattr(args, name):
            raise InputError(f"{args.function} needs --{name}")
    for name in ("writing_params_path", "outputs_path"):
        if getattr(args, name):
            require_writable(getattr(args, name))
    _refuse_overwriting_inputs(args)
    if args.device not in ("cpu", "cuda") or (args.device == "cuda" and default_device() == "cpu"):
        raise InputError(f"--device {args.device}: not on this machine; leave it out, or give cpu")
    if not 0 <= args.save_seconds < math.inf:
        raise InputError(f"--save_seconds {args.save_seconds}: must be a number of seconds, 0 for every step")


def _refuse_overwriting_inputs(args: argparse.Namespace) -> None:
    names = ("pretrain_corpus_path", "finetune_corpus_path", "eval_corpus_path", "reading_params_path")
    given = [getattr(args, name) for name in names if getattr(args, name)]
    read = {Path(place, name).resolve() for name in given for place in ("", args.profile.folder)}
    for name in ("writing_params_path", "outputs_path"):
        path = getattr(args, name)
        if path and Path(path).resolve() in read:
            raise InputError(f"--{name} {path}: is also read in this run; give another name to write to")


def _recipe(args: argparse.Namespace) -> Recipe:
    recipe = choose_recipe(args.recipe, args.profile, len(args.documents), args.seed)
    recipe = with_rates(recipe.for_variant(args.variant), args.pretrain_lr, args.finetune_lr)
    if args.max_epochs is not None:
        stages = ("pretrain", "finetune", "scratch")
        changed = {s: replace(getattr(recipe, s), max_epochs=args.max_epochs) for s in stages}
        recipe = replace(recipe, **changed)
    return recipe


def _fresh_model(args: argparse.Namespace, recipe: Recipe) -> GPT:
    bottleneck = DEFAULT_BOTTLENECK if args.bottleneck_dim is None else args.bottleneck_dim
    return new_model(args.variant, recipe, args.vocab, bottleneck, args.seed)


def _saved_model(args: argparse.Namespace) -> GPT:
    return load_model(args.variant, args.reading_params_path, args.vocab, args.bottleneck_dim)


def pretrain(args: argparse.Namespace) -> None:
    """Span corruption on the corpus."""
    recipe = _recipe(args)
    model = _saved_model(args) if args.reading_params_path else _fresh_model(args, recipe)
    trainer = pretraining(model, args.vocab, args.corpus, recipe, device=args.device, ranks=args.ranks)
    _train(args, trainer, {"corpus": sha256(args.corpus)})


def finetune(args: argparse.Namespace) -> None:
    """Question-answer pairs, from `--reading_params_path` or from scratch."""
    recipe = _recipe(args)
    questions = read_questions(find_file(args.finetune_corpus_path, args.profile.folder), answers=True)
    pretrained = bool(args.reading_params_path)
    model = _saved_model(args) if pretrained else _fresh_model(args, recipe)
    text = args.corpus if pretrained else None
    trainer = finetuning(model, args.vocab, questions, recipe, text, args.device, args.ranks)
    _train(args, trainer, {"corpus": sha256(args.corpus), "questions": sha256(repr(questions))})


def _train(args: argparse.Namespace, trainer: Trainer, data: dict[str, str]) -> None:
    made_from = {
        "function": args.function,
        "variant": args.variant,
        "data": data,
        "seed": args.seed,
        "recipe": args.recipe,
        "profile": args.profile.name,
        "config": asdict(trainer.model.config),
        "training": {**asdict(trainer.config), "betas": list(trainer.config.betas)},
        "started_from": _sha256_of(args.reading_params_path),
        "characters": "".join(args.vocab.characters),
    }
    path, callbacks = Path(args.writing_params_path), []
    if args.ranks.first:
        callbacks = [
            ProgressBar(f"{args.function} {args.variant}"),
            TensorBoard(f"expt/{args.tb_expt_name}/{args.function}_{args.variant}"),
        ]
    try:
        run_to_file(trainer, path, made_from, callbacks, args.save_seconds, resume=args.resume == "auto")
    except OtherRun as error:  # the corpus may be another one than before, found in the data folder
        raise InputError(f"{error} (corpus: {args.corpus_file})") from None
    except LossNotFinite as error:
        flag = f"--{args.function}_lr"
        lower = getattr(args, f"{args.function}_lr") / 2
        raise InputError(f"{error}; for instance {flag} {lower:g} --resume never") from None
    if args.ranks.first:
        print(
            f"{path}: {trainer.step} steps, {trainer.real_tokens:,} characters in {trainer.seconds:.1f} s, "
            f"last loss {trainer.loss:.3f}"
        )


def _sha256_of(path: str | None) -> str | None:
    import hashlib

    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else None


def evaluate(args: argparse.Namespace) -> None:
    """Answer the questions, write the answers, print the score where places are given."""
    questions = read_questions(find_file(args.eval_corpus_path, args.profile.folder))
    model = _saved_model(args).to(args.device)
    evaluation = evaluate_places(model, args.vocab, questions)
    lines = (prediction.replace("\n", " ") for prediction in evaluation.predictions)
    write_text(args.outputs_path, "".join(f"{line}\n" for line in lines))
    print(evaluation)


if __name__ == "__main__":
    run_command(main)
