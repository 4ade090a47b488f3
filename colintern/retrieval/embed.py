"""`colintern embed`: the vectors of a dataset's pages, as Parquet, for a database.

What the folder holds is said in `vectors`. It is filled part by part; a start that ends too early
is taken up again. `embed.json` is written last: a folder without it is not finished.
"""

from dataclasses import dataclass, replace

from colintern import log, records, storage
from colintern.config.schema import DatasetConfig
from colintern.errors import UserError
from colintern.features.store import PAGES, FeatureStore
from colintern.log import size_text
from colintern.model.heads import heads_sha256
from colintern.model.narrowing import AXES, check_dim, write_axes
from colintern.records import lease
from colintern.records.lease import Held
from colintern.records.lease_file import is_lease_file
from colintern.retrieval.at_work import workers_for
from colintern.retrieval.embed_parts import Boxes, Embedding, plan_parts
from colintern.retrieval.finished import FinishedRun, open_finished
from colintern.retrieval.narrowing import principal_axes
from colintern.retrieval.vector_types import Dtype, VectorType
from colintern.retrieval.vectors import (
    BEGUN,
    DONE,
    PartInfo,
    Vectors,
    VectorsIdentity,
    VectorsInfo,
    qdrant_problem,
    read_begun,
    read_info,
)
from colintern.runs.workers import Workers
from colintern.runtime.parts import Part, PartsJob


@dataclass(frozen=True)
class EmbedSettings:
    """What the vectors are to be.

    Attributes:
        round_number: whose heads; None takes the best round.
        dim: `--dim`, the numbers of a vector; None keeps all, as they are.
        tokens: `--tokens`, the most vectors of a page; None keeps all.
        dtype: how numbers are written.
    """

    round_number: int | None = None
    dim: int | None = None
    tokens: int | None = None
    dtype: Dtype = "float32"


def embed(
    run_path: str,
    dataset: str | None,
    out: str,
    settings: EmbedSettings,
    workers: Workers | None = None,
) -> Vectors:
    """Write the vectors of all pages of a dataset that have features.

    Args:
        run_path: the run folder.
        dataset: one of the run by its name, or the folder of one that it has never seen, which is
            encoded first; None takes the first test set, or the training set.
        out: the folder that is written. One that an earlier start has begun, or finished, is taken
            up where that ended.
        settings: what the vectors are to be.
        workers: who works; None takes those of a Ray cluster, which is joined or started only when
            there is something to do.

    Raises:
        UserError: a setting is wrong; or `out` holds other vectors, or something else.
    """
    run, out = open_finished(run_path, settings.round_number), storage.absolute(out)
    _check(settings, run)
    _check_is_ours(out)
    entry = run.dataset(dataset)
    with workers_for(run.config, workers) as (config, chosen):
        run = replace(run, config=config)
        store = run.store(entry, chosen)
        wanted = _identity(run, entry, store, settings)
        with lease.held(out, wait=False) as held:
            _check_is_wanted(out, wanted)
            if (found := read_info(out)) and _is_whole(out, found):
                log.say("embed", "%s: is finished", out)
            else:
                log.say("embed", "%s by round %d of %s", entry.name, wanted.round, wanted.run)
                found = _made(run, store, wanted, out, chosen, held)
    if problem := qdrant_problem(found):
        log.warn_once("embed", problem)
    return Vectors(out, found, run.folder.path)


def _made(
    run: FinishedRun,
    store: FeatureStore,
    wanted: VectorsIdentity,
    out: str,
    workers: Workers,
    held: Held,
) -> VectorsInfo:
    """Make what is missing in a folder, and finish it."""
    storage.write_json(storage.join(out, BEGUN), wanted.model_dump())
    storage.delete(storage.join(out, DONE))  # second: a kill leaves no folder that is nobody's
    axes = _axes(run, out) if wanted.is_narrowed else None
    embedding = _embedding(run, store, wanted, axes)
    parts = plan_parts(embedding, store.pages.num_tokens, out)
    workers.make_parts(PartsJob("embed", "pages", parts, embedding), run.config, held)
    vectors = embedding.num_vectors(store.pages.num_tokens)
    info = VectorsInfo(
        **wanted.model_dump(),
        num_pages=len(store.pages),
        num_vectors=int(vectors.sum()),
        max_vectors=int(vectors.max(initial=0)),
        axes_sha256=axes and storage.sha256_of_file(axes),
        parts=tuple(_described(out, part) for part in parts),
    )
    held.check()
    storage.write_json(storage.join(out, DONE), info.model_dump())
    storage.delete(storage.join(out, BEGUN))
    num_bytes = sum(part.bytes for part in info.parts)
    log.say("embed", "%s in %s", size_text(num_bytes), out)
    return info


def _axes(run: FinishedRun, out: str) -> str:
    """The file of axes in the folder; one that is there stays, as parts may be made with it."""
    path = storage.join(out, AXES)
    if not storage.exists(path):
        write_axes(path, principal_axes(run))
    return path


def _identity(
    run: FinishedRun, entry: DatasetConfig, store: FeatureStore, settings: EmbedSettings
) -> VectorsIdentity:
    return VectorsIdentity(
        run=storage.absolute(run.folder.path),
        round=run.round_number,
        heads_sha256=heads_sha256(run.folder.heads(run.round_number)),
        dataset=entry.name,
        dataset_path=entry.path,
        manifest_sha256=store.manifests[PAGES],
        dim=settings.dim or run.heads.dim,
        is_narrowed=settings.dim is not None,
        tokens=settings.tokens,
        dtype=settings.dtype,
        # Whose tokens a cluster in the store has is known no more.
        has_boxes=settings.tokens is not None and run.codec.reduction.max_tokens is None,
    )


def _embedding(
    run: FinishedRun, store: FeatureStore, wanted: VectorsIdentity, axes: str | None
) -> Embedding:
    boxes = Boxes(run.codec.tile_tokens, run.codec.reduction.merge, run.backbone.tiles.padded_tile)
    return Embedding(
        store=store.path,
        manifests=store.manifests,
        cache_bytes=store.cache_bytes,
        heads_folder=run.folder.heads(run.round_number),
        axes=axes,
        type=VectorType(wanted.dtype, wanted.dim),
        tokens=wanted.tokens,
        boxes=boxes if wanted.has_boxes else None,
    )


def _described(folder: str, part: Part) -> PartInfo:
    name = part.path.removeprefix(folder).lstrip("/")
    output = records.describe(folder, name)
    assert output.sha256 is not None
    return PartInfo(path=name, bytes=output.bytes, sha256=output.sha256, rows=part.num_items)


def _is_whole(folder: str, info: VectorsInfo) -> bool:
    """Whether all parts are there; one of another size is removed, to be made again."""
    sizes = {state.path: state.size for state in storage.list_states(folder)}
    is_whole = True
    for part in info.parts:
        path = storage.join(folder, part.path)
        if sizes.get(path) != part.bytes:
            log.say("embed", "%s is missing or damaged; it is made again", path)
            storage.delete(path)
            is_whole = False
    return is_whole


# What may be wrong


def _check(settings: EmbedSettings, run: FinishedRun) -> None:
    """Make sure that such vectors can be made."""
    if settings.dim is not None:
        check_dim(settings.dim, run.heads.dim)
    if settings.tokens is not None and settings.tokens < 1:
        raise UserError(f"--tokens {settings.tokens}: must be at least 1")


def _check_is_ours(out: str) -> None:
    """Make sure that nothing else stands in the folder: parts would be taken for ours."""
    files = [path for path in storage.list_files(out) if not is_lease_file(path)]
    names = [path.rpartition("/")[2] for path in files]
    if names and not {DONE, BEGUN} & set(names):
        raise UserError(
            f"--out {out}: holds {names[0]}, and is no folder of vectors; choose another one"
        )


def _check_is_wanted(out: str, wanted: VectorsIdentity) -> None:
    """Make sure that what stands in the folder already is what is asked for."""
    found = read_info(out) or read_begun(out)
    if found and (differences := wanted.differences(found)):
        raise UserError(
            f"--out {out}: holds other vectors ({'; '.join(differences)}); choose another folder, "
            "or remove this one"
        )
