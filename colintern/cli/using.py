"""Commands that use a finished run."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from colintern.cli.commands import USE
from colintern.cli.options import AsJson, HeadsRoundOption, RunArgument, say
from colintern.data.text import check_query
from colintern.errors import ConfigError
from colintern.retrieval.memory import parse_size

if TYPE_CHECKING:
    from colintern.retrieval.answers import Hit

commands = typer.Typer()


@commands.command(rich_help_panel=USE)
def search(
    run_path: RunArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Find pages for this question.")],
    depth: Annotated[int, typer.Option("-k", min=1, help="Show so many pages.")] = 10,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Search this dataset of the run, by its name, or any folder, which is encoded on "
            "first use; default: the first test set, or else the training set.",
        ),
    ] = None,
    round_number: HeadsRoundOption = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            metavar="FOLDER",
            help="Write the images of the found pages to this folder, in place of those of an "
            "earlier search; other files in it stay.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            help="Let page embeddings take so much memory, such as 8GB; where all take more, "
            "pages are found by one pooled vector each, and the best 500 are scored exactly; "
            "default: half of what is free.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the best pages for a query."""
    check_query(query, "QUERY")  # mistakes are told before torch is imported
    limit = None if memory is None else parse_size(memory)
    from colintern.retrieval.retriever import Retriever
    from colintern.retrieval.saving import save_pages

    files: list[str] = []
    with redirect_stdout(sys.stderr):  # Ray prints, where a dataset is encoded first
        retriever = Retriever.open(run_path, round_number, dataset, memory=limit)
        (hits,) = retriever.search([query], depth)
        if save:
            files = save_pages(hits, retriever.page_images([hit.page_id for hit in hits]), save)
    if as_json:
        document = {
            "run": run_path,
            "round": retriever.round,
            "dataset": retriever.dataset,
            "query": query,
            "search": retriever.method,
            "hits": _hit_documents(hits, files),
        }
        typer.echo(json.dumps(document, indent=2))
        return
    typer.echo(f"round {retriever.round}, {retriever.dataset}, {retriever.num_pages:,} pages")
    say(_hit_lines(hits))
    say(files)


@commands.command(rich_help_panel=USE)
def baseline(
    run_path: RunArgument,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME_OR_FOLDER",
            help="Measure this model of sentence-transformers, a folder or an id on the Hub.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Call the baseline so; default: the last part of --model."),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision", help="Take this commit of the model on the Hub; default: the newest."
        ),
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            help="Measure the model on this dev or test set; may be given several times; default: "
            "all.",
        ),
    ] = None,
) -> None:
    """Measure other retrievers on the run's dev and test sets.

    With --model that model, given page images, or their texts if it takes no images. Without it
    what needs no other model: BM25, where the corpus has the text of its pages, and one pooled
    vector for each page.
    """
    if model is None and (name or revision or datasets):
        raise ConfigError("--name, --revision and --dataset say more of --model, which is missing")
    from colintern.retrieval.baselines.bm25 import measure_bm25
    from colintern.retrieval.baselines.frame import measured_run
    from colintern.retrieval.baselines.models import measure_model
    from colintern.retrieval.baselines.pooled import measure_pooled
    from colintern.runs.status import table_lines

    with measured_run(run_path) as measured:
        if model is None:
            measure_bm25(measured)
            measure_pooled(measured)
        else:
            measure_model(measured, model, revision=revision, name=name, datasets=datasets or ())
        measured.write_report()
    say(table_lines(run_path))


@commands.command(rich_help_panel=USE)
def ladder(
    run_path: RunArgument,
    round_number: HeadsRoundOption = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Measure on this dev or test set of the run; default: dev."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how small the vectors of pages may be: quality against size.

    All kinds of vectors that `colintern embed` writes with all, a half and a quarter of the
    numbers, of the vectors, and in each type. The result stands in RUN/ladder and in the report.
    """
    from colintern.retrieval.ladder.lines import ladder_lines
    from colintern.retrieval.ladder.making import make_ladder

    document = make_ladder(run_path, round_number, dataset)
    say([json.dumps(document, indent=2)] if as_json else ladder_lines(document))


@commands.command("export", rich_help_panel=USE)
def export_run(
    run_path: RunArgument,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write to this folder, in place of an export that is there.",
        ),
    ],
    round_number: HeadsRoundOption = None,
    side: Annotated[
        Literal["query", "page"] | None,
        typer.Option("--side", help="Write only these heads, as vLLM reads them; default: both."),
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option(
            "--dim",
            min=1,
            help="Keep so many numbers of each vector, rotated and cut; default: heads.dim.",
        ),
    ] = None,
) -> None:
    """Write a folder that sentence-transformers opens as a MultiVectorEncoder.

    Refused, as its modules cannot do them: features.merge above 1, features.max_tokens_per_page, a
    list as backbone.layer (and so heads.layer_mix), backbone.layer=projector, and control tokens in
    backbone.page_prompt.
    """
    from colintern.retrieval.export.export import export_run
    from colintern.retrieval.finished import open_finished

    run = open_finished(run_path, round_number)
    written = export_run(run, out, side, dim)
    typer.echo(
        f"round {run.round_number}, {side or 'both sides'}, {written.dim} numbers a vector, "
        f"{written.num_bytes / 1e6:.1f} MB: {out}"
    )


@commands.command(rich_help_panel=USE)
def embed(
    run_path: RunArgument,
    out: Annotated[
        str,
        typer.Option(
            "--out", metavar="DIR", help="Write the vectors to this folder, a path or URL."
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Embed this dataset of the run, by its name, or any folder; default: the first "
            "test set, or else the training set.",
        ),
    ] = None,
    round_number: HeadsRoundOption = None,
    dim: Annotated[
        int | None,
        typer.Option(
            "--dim",
            min=1,
            help="Keep so many numbers of each vector, along the axes that matter most; default: "
            "all.",
        ),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(
            "--tokens",
            min=1,
            help="Keep at most so many vectors of a page, the means of tokens that are alike; "
            "default: all.",
        ),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float16", "int8", "binary"],
        typer.Option("--dtype", help="Write numbers in this form."),
    ] = "float32",
) -> None:
    """Write the vectors of a dataset's pages as Parquet, for a database."""
    from colintern.retrieval.embed import EmbedSettings
    from colintern.retrieval.embed import embed as embed_dataset

    settings = EmbedSettings(round_number, dim, tokens, dtype)
    info = embed_dataset(run_path, dataset, out, settings).info
    typer.echo(
        f"{out}: {info.num_pages:,} pages of {info.dataset}, {info.num_vectors:,} vectors of "
        f"{info.dim} numbers, {info.dtype}"
    )


def _hit_lines(hits: "Sequence[Hit]") -> Iterator[str]:
    yield f"{'rank':>4}  {'score':>7}  page"
    for hit in hits:
        document = f"   ({hit.doc_id})" if hit.doc_id else ""
        yield f"{hit.rank:>4}  {hit.score:>7.4f}  {hit.page_id}{document}"


def _hit_documents(hits: "Sequence[Hit]", files: Sequence[str]) -> list[dict[str, Any]]:
    """The hits for programs, with the file that each page was saved to, if it was."""
    documents = [asdict(hit) for hit in hits]
    for document, file in zip(documents, files, strict=False):
        document["file"] = file
    return documents
