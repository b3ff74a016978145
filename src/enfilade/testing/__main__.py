"""`python -m enfilade.testing`: a process of a stage, as a test starts it."""

from enfilade.testing.child import main

main()
