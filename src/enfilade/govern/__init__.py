"""Reads an app and says what is wrong with it; never serves anything.

check       all rules over one app, exemptions and severities
wiring      what serves each contract, and whether it can be given what it asks for
boundaries  who imports whom
problems    Problems that leave an operation undeclared
rows        fields of `replace` and `into`
sql         SQL, prepared against the service's tables
units       what `@atomic` must and must not hold; commits: one unit of work for each entry
guards      guards that were probably forgotten

source, program, bound, infer, reach, literal    how the rules read code: files, classes, names, types, calls, texts
"""

from __future__ import annotations

from enfilade.govern.check import WARNINGS as WARNINGS
from enfilade.govern.check import Report as Report
from enfilade.govern.check import check as check
from enfilade.govern.check import severity as severity
