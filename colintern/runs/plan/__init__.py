"""What a run will take: sizes, memory, time and money, reckoned before anything runs.

`census` looks at the datasets, `sizes` makes tokens and bytes of them, `work` the operations and
seconds of the stages on a `machine`, `needs` memory and disk. `make` puts them together, `lines`
prints them.
"""

from colintern.runs.plan.lines import plan_lines
from colintern.runs.plan.machine import Machine, Prices, machine_of
from colintern.runs.plan.make import Plan, Wanted, make_plan

__all__ = ["Machine", "Plan", "Prices", "Wanted", "machine_of", "make_plan", "plan_lines"]
