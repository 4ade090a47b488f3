"""Exports a finished run: what `colintern export` does."""

from dataclasses import dataclass

from colintern import __version__
from colintern.model.checkpoint import find_checkpoint
from colintern.model.folding import folded
from colintern.model.heads import Heads
from colintern.model.internvl_config import layer_numbers, read_internvl_config
from colintern.retrieval.export.card import card
from colintern.retrieval.export.checkpoint import checkpoint_files
from colintern.retrieval.export.content import Content, num_bytes
from colintern.retrieval.export.folder import check_place, write_folder
from colintern.retrieval.export.modules import encoder_file, module_files
from colintern.retrieval.export.refused import check_exportable
from colintern.retrieval.export.same_tokens import check_tokens
from colintern.retrieval.export.template import Side
from colintern.retrieval.finished import FinishedRun
from colintern.retrieval.narrowing import narrowed, principal_axes


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        num_bytes: of all files.
        dim: numbers of each vector.
    """

    folder: str
    num_bytes: int
    dim: int


def export_run(
    run: FinishedRun, out: str, side: Side | None = None, dim: int | None = None
) -> Exported:
    """Write a run's backbone and the heads of its round as a folder of sentence-transformers.

    Args:
        run: opened with the round that is wanted.
        out: a folder that is not there yet, or an earlier export.
        side: whose heads, where only queries or only pages are to be embedded.
        dim: numbers of each vector; None leaves all of `heads.dim`.

    Raises:
        ExportError: plain modules cannot do what the run does, or `out` must not be replaced.
        UserError: `dim` is not one of this run's.
    """
    check_exportable(run.config)
    check_place(out)
    heads = run.heads if dim is None else narrowed(run.heads, principal_axes(run), dim)
    files = export_files(run, heads, side)
    record = {
        "format": 1,
        "run": run.config.run.name,
        "round": run.round_number,
        "side": side,
        "dim": heads.dim,
        "backbone_sha256": run.backbone.checkpoint_sha256,
        "colintern": __version__,
    }
    write_folder(out, files, record)
    return Exported(out, num_bytes(files), heads.dim)


def export_files(run: FinishedRun, heads: Heads, side: Side | None) -> dict[str, Content]:
    """Every file of the folder, by its path in it.

    Args:
        run: a run that `check_exportable` lets pass.
        heads: over the features that the run stores.
        side: whose heads are written; None for both.
    """
    config = run.config.backbone
    folder = find_checkpoint(config)
    model_config = read_internvl_config(folder, config)
    (layer,) = layer_numbers(model_config, config)
    is_last = layer == model_config.text_config.num_hidden_layers
    if run.basis is not None:
        heads = folded(heads, run.basis.basis)
    checkpoint = checkpoint_files(folder, config, model_config, side)
    check_tokens(checkpoint, folder, config, model_config, side)
    return {
        **checkpoint,
        **module_files(heads, side, None if is_last else layer, model_config.image_token_id),
        **encoder_file(config.query_prefix, run.folder.read().versions),
        "README.md": card(run, heads.dim, side).encode(),
    }
