"""An exported folder embeds as the run does, in a process without code of ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from colintern import storage
from colintern.config.schema import BackboneConfig, HeadsConfig
from colintern.model.backbone import FrozenBackbone, read_identity
from colintern.model.basis import BasisFile, fit_basis, write_basis
from colintern.model.heads import Heads, heads_info, init_heads
from colintern.retrieval.export.export import export_files
from colintern.retrieval.export.folder import write_folder
from colintern.retrieval.export.template import Side
from colintern.retrieval.finished import FinishedRun
from colintern.retrieval.narrowing import narrowed
from tests.model.twins import LANGUAGE_MODELS, TWINS, write_twin

QUERIES = [
    "which invoice is for the kettle?",
    "  two  spaces, and a tail ",
    "Ünïcode — 页码 \u0301e",
    "total",
    "x" * 300,
]
# One tile, several, many where they may be; wide and high; with and without a resize.
SIZES = [(224, 224), (300, 500), (640, 200), (90, 70), (500, 705)]
TOLERANCE = 1e-6
# W x - W mean, as a linear layer with a bias has it, loses more digits than W (x - mean).
PCA_TOLERANCE = 3e-6
# Padded to the longest of a batch, float32 is rounded otherwise: in sums of another length.
PADDED_TOLERANCE = 5e-6


@dataclass(frozen=True)
class Case:
    """What a run may be made with.

    Attributes:
        backbone: settings of it.
        heads: settings of them.
        pca_dim: as `features.pca_dim`.
        dim: as `--dim`.
        side: as `--side`.
    """

    backbone: Mapping[str, Any] = field(default_factory=dict)
    heads: Mapping[str, Any] = field(default_factory=dict)
    pca_dim: int | None = None
    dim: int | None = None
    side: Side | None = None


_PROMPTS = {
    "page_prompt": "\tRead \"this\" {{ page }} \U0001f600:\n<image> and 'that'. ",
    "query_prefix": "Find the",
    "query_augmentation_tokens": 5,
}
CASES = {
    "linear": Case(),
    "many tiles": Case(backbone={"max_tiles": 12}),
    "prompts": Case(backbone=_PROMPTS),
    "no prompts": Case(backbone={"page_prompt": "", "query_prefix": ""}),
    "mlp": Case(heads={"kind": "mlp"}),
    "shared": Case(heads={"shared": True}),
    "hidden layer": Case(backbone={"layer": 1}),
    "the LLM's input": Case(backbone={"layer": 0}),
    "bidirectional": Case(backbone={"attention": "bidirectional", "query_augmentation_tokens": 2}),
    "pca": Case(pca_dim=96),
    "narrow": Case(dim=8),
    "pca, mlp, narrow": Case(pca_dim=96, heads={"kind": "mlp"}, dim=8),
    "queries": Case(side="query"),
    "pages, mlp": Case(side="page", heads={"kind": "mlp"}),
    "shared queries": Case(side="query", heads={"shared": True}),
    **{kind: Case(backbone={"path": kind, "max_tiles": 2}) for kind in LANGUAGE_MODELS},
}
PADDED = ("linear", "bidirectional")


@dataclass(frozen=True)
class Embedded:
    """Vectors of `QUERIES` and of pages of `SIZES`, ours and the exported folder's."""

    queries: list[Tensor]
    pages: list[Tensor]
    theirs: Mapping[str, np.ndarray]

    def differences(self) -> Iterator[float]:
        for kind, vectors in (("query", self.queries), ("page", self.pages)):
            for number, vector_TE in enumerate(vectors):
                if (name := f"{kind}{number}") in self.theirs:
                    assert self.theirs[name].shape == tuple(vector_TE.shape)
                    yield float(np.abs(self.theirs[name] - vector_TE.numpy()).max())


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> list[Path]:
    """Pictures with edges and flat parts, as files."""
    folder = tmp_path_factory.mktemp("pages")
    draw = np.random.default_rng(0)
    files = []
    for number, (width, height) in enumerate(SIZES):
        noise = draw.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((width, height), Image.Resampling.NEAREST)
        files.append(folder / f"{number}.png")
        picture.save(files[-1])
    return files


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As in the process that opens the folders: see `opens.one_thread`."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def embedded(run, opened, pages, one_thread, tmp_path_factory) -> dict[str, Embedded]:
    """All cases, opened in one process: that takes most of the time."""
    root = tmp_path_factory.mktemp("cases")
    pictures = [Image.open(file) for file in pages]
    ours, jobs = {}, {}
    for name, case in CASES.items():
        made, heads = _made(run, case, pictures, root / name)
        write_folder(str(root / name / "out"), export_files(made, heads, case.side), {})
        ours[name] = _ours(made, heads, pictures)
        job: dict[str, Any] = {"folder": str(root / name / "out")}
        job |= {"queries": QUERIES} if case.side != "page" else {}
        job |= {"pages": list(map(str, pages))} if case.side != "query" else {}
        jobs[name] = job
    for name in PADDED:
        ours[f"{name}, padded"], jobs[f"{name}, padded"] = ours[name], jobs[name] | {"batch": 8}
    theirs = opened(list(jobs.values()))
    return {name: Embedded(*ours[name], found) for name, found in zip(jobs, theirs, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_vectors_are_those_of_the_run(embedded, name):
    """Another prompt, layer, attention, activation, fold or side in the folder than in the run."""
    found = list(embedded[name].differences())
    kinds = {"query": len(QUERIES), "page": len(SIZES), None: len(QUERIES) + len(SIZES)}
    assert len(found) == kinds[CASES[name].side]
    assert max(found) <= (PCA_TOLERANCE if CASES[name].pca_dim else TOLERANCE)


@pytest.mark.parametrize("name", PADDED)
def test_padding_changes_nothing(embedded, name):
    """Padding on the left, that is attended to, or that counts as a token of the query."""
    found = list(embedded[f"{name}, padded"].differences())
    assert len(found) == len(QUERIES) + len(SIZES)
    assert max(found) <= PADDED_TOLERANCE


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.side is None])
def test_scores_rank_pages_as_the_run_does(embedded, name):
    """A similarity function that weighs queries by their length, or counts prompts as pages."""
    case = embedded[name]
    wanted = torch.tensor(
        [
            [float((query @ page.T).amax(1).double().mean()) for page in case.pages]
            for query in case.queries
        ]
    )
    scores = torch.from_numpy(case.theirs["scores"])
    assert (scores - wanted).abs().max() <= TOLERANCE
    gaps = wanted.sort(dim=1).values.diff(dim=1)
    assert gaps.min() > 2 * TOLERANCE  # else rounding could decide on the order
    assert torch.equal(scores.argsort(dim=1), wanted.argsort(dim=1))


def test_attention_is_what_was_asked_for(embedded):
    """The setting that is written, loaded, and ignored: causal attention without a word."""
    both, causal = embedded["bidirectional"].theirs, embedded["linear"].theirs
    assert np.abs(both["page0"] - causal["page0"]).max() > 0.01


def test_one_side_is_as_in_the_whole_folder(embedded):
    """Other heads, or another template, where only one side is written."""
    whole, side = embedded["linear"].theirs, embedded["queries"].theirs
    assert sorted(side) == [f"query{number}" for number in range(len(QUERIES))]
    assert all(np.array_equal(side[name], whole[name]) for name in side)
    whole, side = embedded["mlp"].theirs, embedded["pages, mlp"].theirs
    assert sorted(side) == [f"page{number}" for number in range(len(SIZES))]
    assert all(np.array_equal(side[name], whole[name]) for name in side)


def _made(
    run: FinishedRun, case: Case, pictures: list[Image.Image], folder: Path
) -> tuple[FinishedRun, Heads]:
    """A run like `run`, made with other settings; its heads, narrowed where they are to be."""
    settings = {"max_tiles": 3, **case.backbone}
    if settings.get("path") in LANGUAGE_MODELS:
        (folder / "backbone").mkdir(parents=True)
        write_twin(folder / "backbone", TWINS[LANGUAGE_MODELS[settings["path"]]])
        settings["path"] = str(folder / "backbone")
    backbone, heads = BackboneConfig(**settings), HeadsConfig(dim=16, **case.heads)
    config = run.config.model_copy(update={"backbone": backbone, "heads": heads})
    identity = read_identity(backbone)
    basis = None
    if case.pca_dim:
        features = FrozenBackbone(backbone).encode_pages(pictures)
        write_basis(path := str(folder / "basis.safetensors"), fit_basis(features, case.pca_dim))
        basis = BasisFile(path, storage.sha256_of_file(path))
    width = case.pca_dim or identity.width
    made = _shaken(init_heads(heads, width, seed=1))
    info = heads_info(config, width, {})
    changed = replace(run, config=config, heads=made, info=info, backbone=identity, basis=basis)
    if case.dim is None:
        return changed, made
    turned_EE = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(2)))[0]
    return changed, narrowed(made, turned_EE, case.dim)


def _shaken(heads: Heads) -> Heads:
    """Heads of queries and pages start as the same; here they differ, and no bias is zero."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.05)
    return heads


def _ours(
    run: FinishedRun, heads: Heads, pictures: list[Image.Image]
) -> tuple[list[Tensor], list[Tensor]]:
    """Embeddings of the features as the backbone gives them: a store would round them."""
    backbone = FrozenBackbone(run.config.backbone)

    def projected(features: list[Tensor]) -> list[Tensor]:
        return features if run.basis is None else list(map(run.basis.basis.project, features))

    queries, pages = backbone.encode_queries(QUERIES), backbone.encode_pages(pictures)
    return (
        [heads.exact_queries(token_TH) for token_TH in projected(queries)],
        [heads.exact_pages(token_TH) for token_TH in projected(pages)],
    )
