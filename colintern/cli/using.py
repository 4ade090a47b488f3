"""Commands that use a finished run."""

from typing import Annotated

import typer

from colintern.cli.options import RunArgument

commands = typer.Typer()


@commands.command()
def search(
    run_path: RunArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The question.")],
    depth: Annotated[int, typer.Option("-k", min=1, help="Number of pages to show.")] = 10,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Dataset of the run to search, or the folder of a new dataset; "
            "default: the first test set, or the training set if there is none.",
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            metavar="FOLDER",
            help="Write the images of the found pages to this folder.",
        ),
    ] = None,
) -> None:
    """Find the best pages for a query."""
    from colintern.retrieval.retriever import save_images, search_run

    hits = search_run(run_path, query, depth, dataset)
    typer.echo(f"{'rank':>4}  {'score':>7}  page")
    for hit in hits:
        document = f"   ({hit.doc_id})" if hit.doc_id else ""
        typer.echo(f"{hit.rank:>4}  {hit.score:>7.4f}  {hit.page_id}{document}")
    if save:
        for path in save_images(run_path, dataset, hits, save):
            typer.echo(path)
