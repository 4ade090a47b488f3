"""The work of stages in this process, without Ray: for tests, benchmarks and small corpora."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from colintern.config.schema import Config
from colintern.data.inventory import Inventory, read_inventory
from colintern.data.views import View
from colintern.features.basis_sample import BasisTask, make_basis
from colintern.features.catalog import Catalog
from colintern.features.encoding import WrittenShard, encode_shard
from colintern.features.making import BegunStore, make_stores
from colintern.features.plan import StoreTarget
from colintern.features.progress import EncodingProgress
from colintern.features.provenance import provenance_of
from colintern.features.store import FeatureStore
from colintern.features.work import PlannedWork
from colintern.model.backbone import BackboneIdentity, FrozenBackbone
from colintern.model.heads import load_heads
from colintern.records import Record
from colintern.records.lease import Held
from colintern.records.machine import Machine, machine_here
from colintern.runtime.parts import CrewHere, PartsJob, make_parts
from colintern.runtime.resources import Request
from colintern.runtime.work import SearchWork, Tell
from colintern.scoring.queries import EmbeddedQueries
from colintern.search.embedding import embed_queries
from colintern.search.shard import CorpusShard
from colintern.search.shards import LocalShards
from colintern.training.loop import RoundTask, open_round, train_round
from colintern.training.worker import Worker


class LocalWorkers:
    """See `runs.workers.Workers`: one process, the CPU, and a corpus that is one shard."""

    def encode(
        self, targets: Sequence[StoreTarget], backbone: BackboneIdentity, config: Config
    ) -> dict[str, Record]:
        """Encode one shard after the other."""
        return make_stores(targets, backbone, config, _LocalCrew(config))

    def fit_basis(self, task: BasisTask, config: Config, held: Held) -> None:
        """Fit it here."""
        make_basis(task, FrozenBackbone(config.backbone))

    def train(self, task: RoundTask, request: Request, held: Held, show: Tell) -> None:
        """Train as the only worker."""
        train_round(task, open_round(task), Worker(), show, held.check)

    def search(
        self, work: SearchWork, catalog: Catalog, request: Request, held: Held, show: Tell
    ) -> dict[str, Any]:
        """Do the work here."""
        return work(catalog, open_corpus, show)

    def machine(self, config: Config) -> Machine:
        """This one, without its GPUs."""
        return machine_here()

    def make_parts(self, job: PartsJob, config: Config, held: Held) -> None:
        """Make one part after the other."""
        make_parts(job, CrewHere(), held)


class _LocalCrew:
    """See `features.making.Crew`: everything in this process, one after the other."""

    device = "cpu"

    def __init__(self, config: Config) -> None:
        self._config = config

    def list_pages(self, files: Sequence[str]) -> Inventory:
        """The pages of a corpus, read here."""
        return read_inventory(files)

    def encode(
        self, work: PlannedWork, stores: Mapping[str, BegunStore], progress: EncodingProgress
    ) -> Iterator[tuple[str, WrittenShard]]:
        """Write one shard after the other."""
        backbone = FrozenBackbone(self._config.backbone)
        progress.facts |= provenance_of(backbone)
        batch_tokens = self._config.features.batch_tokens
        for shard in work:
            codec = stores[shard.store].codec
            yield shard.path, encode_shard(shard, backbone, codec, batch_tokens)


def open_corpus(
    view: View, store: FeatureStore, heads_folder: str
) -> tuple[LocalShards, EmbeddedQueries]:
    """All pages of `view` as one shard, and its queries, embedded by the heads in a folder."""
    heads, _ = load_heads(heads_folder)
    shards = LocalShards([CorpusShard(store.pages, heads, view.pages)])
    return shards, embed_queries(heads, store.queries, view.queries)
