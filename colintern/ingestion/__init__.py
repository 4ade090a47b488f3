"""From PDFs and pictures to a canonical dataset folder: `colintern ingest`."""

from colintern.ingestion.drawn import RenderSettings
from colintern.ingestion.findings import Report
from colintern.ingestion.run import IngestSettings, ingest

__all__ = ["IngestSettings", "RenderSettings", "Report", "ingest"]
