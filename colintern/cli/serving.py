"""The command that serves a finished run."""

import os
from typing import Annotated

import typer

from colintern.cli.commands import USE
from colintern.cli.options import HeadsRoundOption, RunArgument
from colintern.retrieval.memory import parse_size
from colintern.retrieval.serving.address import check_is_free
from colintern.retrieval.serving.limits import check_installed, token_for

commands = typer.Typer()


@commands.command(rich_help_panel=USE)
def serve(
    run_path: RunArgument,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Dataset of the run to search, by its name, or any folder of a dataset, which is "
            "encoded first if it is new; default: the first test set, or the training set if "
            "there is none.",
        ),
    ] = None,
    round_number: HeadsRoundOption = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help="Address to listen at, of the head node with RAY_ADDRESS; any other than that "
            "of this machine alone needs COLINTERN_TOKEN in the environment.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="Port to listen at.")] = (
        8000
    ),
    replicas: Annotated[
        int,
        typer.Option(
            "--replicas",
            min=1,
            help="Processes that answer, each with the model and the page embeddings.",
        ),
    ] = 1,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            help="Memory that page embeddings of one replica may take, such as 8GB; default: half "
            "of what is free, for all replicas together.",
        ),
    ] = None,
) -> None:
    """Answer searches over HTTP: an API, and a page to search in a browser.

    POST /search {query, k}, POST /embed {queries}, GET /page?id=, GET /heatmap?id=&query=,
    GET /healthz; GET /openapi.json describes them. If COLINTERN_TOKEN is set, clients send it as
    `Authorization: Bearer`.
    """
    # Mistakes are told before torch is imported.
    host = host.strip("[]")
    token = token_for(host, os.environ)
    if "RAY_ADDRESS" not in os.environ:
        check_is_free(host, port)
    limit = None if memory is None else parse_size(memory)
    check_installed()
    from colintern.retrieval.serving.serve import ServeSettings, serve_run

    settings = ServeSettings(host, port, token, dataset, round_number, replicas, limit)
    serve_run(run_path, settings)
