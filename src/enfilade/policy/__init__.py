"""Central policies in Cedar, beside what contracts say, and why a call is allowed or denied.

facts.py    what Cedar is told of a call, and the schema of it
render.py   what the contracts say, in Cedar
files.py    a folder of policies, read and checked
cedar.py    decides by them
explain.py  each part of a decision, in words
"""

from enfilade.policy.cedar import Cedar as Cedar
from enfilade.policy.cedar import cedar as cedar
from enfilade.policy.explain import Explanation as Explanation
from enfilade.policy.explain import explain as explain
from enfilade.policy.render import policies_of as policies_of
from enfilade.policy.render import schema_of as schema_of
