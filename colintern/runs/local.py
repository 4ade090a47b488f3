"""The work of stages in this process, without Ray: for tests, benchmarks and small corpora."""

from collections.abc import Sequence
from typing import Any

from colintern import records
from colintern.config.schema import Config
from colintern.data.canonical import CanonicalDataset
from colintern.data.inventory import read_inventory
from colintern.data.views import View
from colintern.features.basis_sample import BasisTask, make_basis
from colintern.features.catalog import Catalog
from colintern.features.encoding import WrittenShard, encode_shard
from colintern.features.finish import finish_store, finished_record
from colintern.features.plan import StoreTarget, check_compute_dtype, plan_store
from colintern.features.store import FeatureStore
from colintern.model.backbone import BackboneIdentity, FrozenBackbone, compute_dtype
from colintern.model.heads import load_heads
from colintern.records import Record, lease
from colintern.records.lease import Held
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
        """Encode one store after the other; shards that an earlier start has written are kept."""
        return {target.path: _encoded(target, backbone, config) for target in targets}

    def fit_basis(self, task: BasisTask, config: Config) -> None:
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


def _encoded(target: StoreTarget, backbone: BackboneIdentity, config: Config) -> Record:
    """The record of a store, which is made first where it is not finished."""
    with lease.held(target.path, wait=True) as held:
        if record := finished_record(target, config.data.max_bad_fraction):
            return record
        started_at = records.now()
        target.begin()
        corpus = read_inventory(CanonicalDataset(target.dataset.path).corpus_files)
        plan = plan_store(target, corpus, backbone, config.features, config.cluster.use_gpu)
        check_compute_dtype(plan, compute_dtype(config.backbone, "cpu"))
        plan.begin()
        written: dict[str, WrittenShard] = {}
        if missing := plan.missing():
            frozen, batch_tokens = FrozenBackbone(config.backbone), config.features.batch_tokens
            for work in missing:
                written[work.path] = encode_shard(work, frozen, target.codec, batch_tokens)
        held.check()
        limit = config.data.max_bad_fraction
        return finish_store(plan, backbone, limit, started_at, written).record


def open_corpus(
    view: View, store: FeatureStore, heads_folder: str
) -> tuple[LocalShards, EmbeddedQueries]:
    """All pages of `view` as one shard, and its queries, embedded by the heads in a folder."""
    heads, _ = load_heads(heads_folder)
    shards = LocalShards([CorpusShard(store.pages, heads, view.pages)])
    return shards, embed_queries(heads, store.queries, view.queries)
