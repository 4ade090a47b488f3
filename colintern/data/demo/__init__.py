"""The built-in demo corpus: pages rendered from text in this package, nothing downloaded.

Notes, letters, invoices and reports come in families of look-alikes that share their body and
differ in a name, a city, a date, a number: the near misses that hard negatives are about. Reference
pages print the prose of the standard library's documentation.
"""

from colintern.data.demo.build import DEMO_VERSION, demo_counts, write_demo, write_demo_files

__all__ = ["DEMO_VERSION", "demo_counts", "write_demo", "write_demo_files"]
