"""The access matrix: whether a running app keeps out whom its contracts keep out.

Two questions, each asked in process and over HTTP:

    functions   every operation, by callers with every single right, all but one, none and all: who is let in?
    objects     a story is told by one caller; then others repeat each of his calls with his very arguments: who
                reaches what is his, who sees a trace of it, and did any of it change?

callers.py   the crowd, and what a need expects of each of them
doors.py     the two ways in
story.py     what was called while the story was told, and which ids came of it
matrix.py    the run and its report
"""

from enfilade.govern.access.matrix import Matrix as Matrix
from enfilade.govern.access.matrix import examine as examine
