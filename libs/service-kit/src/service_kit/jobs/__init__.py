"""Jobs: work behind requests that a service does a batch at a time, whoever asks for it.

A service has its own table of jobs and knows how to go on with one; when that is done, and that it
is not forgotten, is seen to here (docs/adr/0021-jobs.md). Temporal's sandbox imports this package
for the workflow alone, so nothing else is imported with it.
"""
