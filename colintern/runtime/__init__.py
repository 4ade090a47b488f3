"""The only package that knows Ray: it gives the stages workers, retries and progress."""
