"""From PDFs and pictures to a canonical dataset folder: `colintern ingest`."""

from colintern.ingestion.drawn import RenderSettings
from colintern.ingestion.findings import Report
from colintern.ingestion.run import ingest
from colintern.ingestion.work import IngestSettings

__all__ = ["IngestSettings", "RenderSettings", "Report", "ingest"]
