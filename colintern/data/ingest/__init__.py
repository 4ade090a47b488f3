"""From PDFs and pictures to a canonical dataset folder: `colintern ingest`."""

from colintern.data.ingest.drawn import RenderSettings
from colintern.data.ingest.findings import Report
from colintern.data.ingest.run import IngestSettings, ingest

__all__ = ["IngestSettings", "RenderSettings", "Report", "ingest"]
