"""From PDFs and pictures to a canonical dataset folder: `colintern ingest`."""

from colintern.ingest.drawn import RenderSettings
from colintern.ingest.findings import Report
from colintern.ingest.run import IngestSettings, ingest

__all__ = ["IngestSettings", "RenderSettings", "Report", "ingest"]
