"""What the child process that reads workbooks and whoever asks it have to agree on; only the child loads the reader."""

CPU_SECONDS = 60
# The first octet of an answer: the rows follow, or why there are none.
READ, REFUSED = b"+", b"-"
