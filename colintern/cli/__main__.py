"""`python -m colintern.cli`."""

from colintern.cli import main

main()
