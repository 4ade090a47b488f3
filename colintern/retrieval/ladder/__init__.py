"""Quality against size: how small the vectors of pages may be (`colintern ladder`)."""
