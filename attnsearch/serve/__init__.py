"""Catalogs → answers over HTTP, for a browser, a script, an agent.

failures  what went wrong → an error object and its status
batches   requests that wait at the same time → one call that answers all of them
catalogs  the catalogs that are served, each open at its latest commit
answers   a request → its answer, as the command line prints it
limits    how much may be asked, how many at once, for how long
guard     who may ask: Host, Origin, token; and a line in the log
page      the page's files
http      addresses → answers
loop      enough files for the event loop, and a log of its faults
server    a socket, signals, and an end in good order
"""
