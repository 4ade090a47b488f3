"""The report's page of a run."""
